//! A crate without the standard library can be audited, as long as the program that it is in has one.

#![no_std]
#![forbid(unsafe_code, unused_mut, unused_variables, unused_must_use, missing_docs)]
#![deny(warnings)]

extern crate alloc;
extern crate std;

use alloc::string::String;
use audited::fields::AuditedFields;
use audited::{audit_method, audited_fields};

/// Doubles.
#[audit_method]
pub fn double(mut n: u8) -> Result<u8, String> {
    n = n.checked_mul(2).ok_or("too much")?;
    Ok(n)
}

/// Doubles, later.
#[audit_method]
pub async fn later(n: Option<u8>) -> Option<u8> {
    Some(n? * 2)
}

/// A pilot.
#[audited_fields(age, ssn(redact); key = name, label = name)]
pub struct Pilot {
    name: &'static str,
    age: u8,
    ssn: Option<String>,
}

fn main() {
    let pilot = Pilot { name: "Kara", age: 25, ssn: None };
    assert_eq!(pilot.target_id(), "Kara");
    let records = audited::testing::capture(|| {
        assert_eq!(double(2), Ok(4));
        drop(later(None));
    });
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].output.as_ref().expect("an output").as_str(), "4");
}
