use std::pin::Pin;

use audited::audit_method;

#[derive(Debug)]
enum BankError {}

#[audit_method(on_audit_failure = "refuse")]
fn charge(amount: u32) -> Result<u32, BankError> {
    Ok(amount)
}

#[audit_method(on_audit_failure = "refuse")]
async fn later(amount: u32) -> Result<u32, BankError> {
    Ok(amount)
}

#[audit_method(on_audit_failure = "refuse")]
#[track_caller]
fn from_here(amount: u32) -> Result<u32, String> {
    Ok(amount)
}

#[audit_method(on_audit_failure = "refuse")]
fn boxed(amount: u32) -> Pin<Box<dyn Future<Output = Result<u32, BankError>>>> {
    Box::pin(async move { Ok(amount) })
}

#[audit_method(on_audit_failure = "refuse")]
fn generic<E>(amount: u32) -> Result<u32, E> {
    Ok(amount)
}

fn main() {}
