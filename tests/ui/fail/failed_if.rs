//! What `failed_if` rejects.

use audited::audit_method;

#[audit_method(failed_if = true)]
fn no_function() -> u8 {
    1
}

#[audit_method(failed_if = |a, b| a == b)]
fn two_parameters() -> u8 {
    1
}

#[audit_method(failed_if)]
fn no_value() -> u8 {
    1
}

#[audit_method(failed_if = |_| true)]
fn nothing() {}

#[audit_method(failed_if = |_| true)]
fn never() -> ! {
    panic!()
}

#[audit_method(failed_if = |numbers| true)]
fn opaque() -> impl Iterator<Item = u8> {
    [1].into_iter()
}

#[audit_method(failed_if = |_| true)]
#[track_caller]
fn in_place() -> (u8, impl Iterator<Item = u8>) {
    (1, [1].into_iter())
}

#[audit_method(failed_if = |_| true, capture = "none")]
fn not_recorded() -> u8 {
    1
}

struct Limit(u8);

impl Limit {
    #[audit_method(failed_if = |n| *n > self.0)]
    fn uses_self(&self) -> u8 {
        1
    }
}

#[audit_method(fail_if = |n| *n > 1)]
fn other_name() -> u8 {
    1
}

fn main() {}
