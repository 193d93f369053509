//! Types with misleading names: what the attribute decides by type, and what only the spelling can
//! decide.
//!
//! The second half pins limits. A change there changes what is recorded, or what compiles.

#![allow(mismatched_lifetime_syntaxes, elided_lifetimes_in_paths)]

use std::error::Error;
use std::fmt::{self, Debug as Shown};

use audited::{Outcome, audit_method, audited_fields};
use serde_json::{Value, json};

use crate::record_access::{error_message, output, single_record};

/// Audited types that are named like types which nobody audits.
mod audited_types {
    use super::audited_fields;

    #[audited_fields(value; key = id)]
    #[derive(Default)]
    pub(super) struct Vec {
        pub(super) id: u32,
        pub(super) value: u32,
    }

    #[audited_fields(value; key = id)]
    #[derive(Default)]
    pub(super) struct Result {
        pub(super) id: u32,
        pub(super) value: u32,
    }
}

#[test]
fn audited_types_are_compared_whatever_their_names_are() {
    #[audit_method(skip_all)]
    fn change(vec: &mut audited_types::Vec, result: &mut audited_types::Result) {
        vec.value += 1;
        result.value += 2;
    }
    #[audit_method(skip_all)]
    fn borrow<'a>(vec: &'a mut audited_types::Vec) -> &'a mut u32 {
        &mut vec.value
    }

    let (mut vec, mut result) = Default::default();
    let record = single_record(|| change(&mut vec, &mut result));
    let changes = record.changes.iter();
    let changes: Vec<_> =
        changes.map(|one| (&*one.target_type, one.after.as_ref().unwrap().as_str())).collect();
    assert_eq!(changes, [("Vec", "1"), ("Result", "2")]);
    let record = single_record(|| *borrow(&mut vec) += 1);
    assert_eq!(record.truncated[0].path, "changes.vec");
}

#[test]
fn a_returned_borrow_is_found_whatever_its_name_is() {
    /// Borrows, which its name does not tell.
    struct Vec<'v>(&'v mut u32);

    #[audited_fields(value; key = id)]
    struct Object {
        id: u32,
        value: u32,
    }

    impl Object {
        #[audit_method(skip_all)]
        fn lend(&mut self) -> Vec {
            Vec(&mut self.value)
        }
    }

    let mut object = Object { id: 1, value: 0 };
    let record = single_record(|| *object.lend().0 += 1);
    assert_eq!(record.truncated[0].path, "changes.self");
}

// ---- limits: only the spelling is available
// ---------------------------------------------------------

/// An error with a cause. `C` may be anything.
#[derive(Debug)]
struct Caused<C>(C);

impl<C> fmt::Display for Caused<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it failed")
    }
}

impl<C: Error + 'static> Error for Caused<C> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn an_error_whose_argument_is_named_like_a_type_parameter_has_no_chain() {
    type IO = fmt::Error;

    #[audit_method]
    fn by_type() -> Result<(), Caused<fmt::Error>> {
        Err(Caused(fmt::Error))
    }
    #[audit_method]
    fn by_name() -> Result<(), Caused<IO>> {
        Err(Caused(fmt::Error))
    }

    let record = single_record(by_type);
    assert_eq!(
        (error_message(&record), record.error.as_ref().unwrap().sources.len()),
        ("it failed", 1)
    );
    let record = single_record(by_name);
    assert_eq!(
        (error_message(&record), record.error.as_ref().unwrap().sources.len()),
        ("it failed", 0)
    );
}

#[test]
fn a_result_of_a_function_under_another_name_is_a_success() {
    type Attempt<T> = Result<T, fmt::Error>;
    type AnyResult<T> = Result<T, fmt::Error>;

    #[audit_method]
    fn attempt() -> Attempt<impl Fn() -> u8> {
        if std::hint::black_box(true) {
            return Err(fmt::Error);
        }
        Ok(|| 1)
    }
    #[audit_method]
    fn any_result() -> AnyResult<impl Fn() -> u8> {
        if std::hint::black_box(true) {
            return Err(fmt::Error);
        }
        Ok(|| 1)
    }

    assert_eq!(single_record(|| attempt().is_err()).outcome, Outcome::Success);
    assert_eq!(single_record(|| any_result().is_err()).outcome, Outcome::Unknown);
}

#[test]
fn a_renamed_trait_is_not_recognised_in_impl_trait() {
    #[audit_method]
    fn by_name() -> impl std::fmt::Debug {
        1
    }
    #[audit_method]
    fn renamed() -> impl Shown {
        1
    }

    assert_eq!(output(&single_record(|| drop(by_name()))), json!("1"));
    assert_eq!(output(&single_record(|| drop(renamed()))), Value::Null);
}

#[test]
fn a_function_that_takes_self_is_not_known_by_its_name() {
    #[audited_fields(value; key = id)]
    struct Object {
        id: u32,
        value: u32,
    }

    fn push(object: &mut Object) {
        object.value += 1;
    }
    fn grow(object: &mut Object) {
        object.value += 1;
    }

    impl Object {
        #[audit_method(skip_all)]
        fn grows(&mut self) {
            grow(self);
        }
        #[audit_method(skip_all)]
        fn pushes(&mut self) {
            push(self);
        }
    }

    let mut object = Object { id: 1, value: 0 };
    assert_eq!(single_record(|| object.grows()).changes.len(), 1);
    assert_eq!(single_record(|| object.pushes()).changes.len(), 1);
}
