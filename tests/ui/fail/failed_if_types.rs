//! Errors of the compiler in `failed_if` are reported there.

use audited::audit_method;

#[audit_method(failed_if = |n| n + 1)]
fn not_a_bool() -> u8 {
    1
}

#[audit_method(failed_if = str::is_empty)]
fn other_type() -> u8 {
    1
}

#[audit_method(failed_if = |n| *n > limit)]
fn uses_parameter(limit: u8) -> u8 {
    limit
}

#[audit_method(failed_if = |n| n.is_empty())]
async fn no_method() -> u8 {
    1
}

fn main() {
    audited::outcome("failure");
}
