use std::future::Future;
use std::pin::Pin;

use audited::audit_method;

#[audit_method(on_audit_failure = "refuse")]
fn charge(amount: u32) -> u32 {
    amount
}

#[audit_method(on_audit_failure = "refuse")]
fn book(amount: u32) {
    let _ = amount;
}

#[audit_method(on_audit_failure = "refuse")]
fn find(amount: u32) -> Option<u32> {
    Some(amount)
}

#[audit_method(on_audit_failure = "refuse")]
async fn later(amount: u32) -> u32 {
    amount
}

#[audit_method(on_audit_failure = "refuse")]
fn all(amount: u32) -> impl Iterator<Item = u32> {
    0..amount
}

#[audit_method(on_audit_failure = "refuse")]
fn run() -> ! {
    loop {}
}

#[audit_method(on_audit_failure = "refuse")]
fn effect_before(amount: u32) -> impl Future<Output = Result<u32, Box<dyn std::error::Error>>> {
    println!("{amount}");
    async move { Ok(amount) }
}

#[audit_method(on_audit_failure = "refuse")]
fn boxed(amount: u32) -> Pin<Box<dyn Future<Output = Result<u32, Box<dyn std::error::Error>>>>> {
    println!("{amount}");
    Box::pin(async move { Ok(amount) })
}

#[audit_method(on_audit_failure = "refuse")]
fn boxed_number(amount: u32) -> Pin<Box<dyn Future<Output = u32>>> {
    Box::pin(async move { amount })
}

#[audit_method(on_audit_failure = "refuse")]
#[track_caller]
fn from_here(amount: u32) -> Result<impl Iterator<Item = u32>, Box<dyn std::error::Error>> {
    Ok(0..amount)
}

fn main() {}
