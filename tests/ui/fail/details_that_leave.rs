//! `target`, `reason` and `fields` are evaluated only for a record, so they can't leave the function.

use audited::audit_method;

#[audit_method(target = ("number", text.parse::<u8>()?))]
fn with_question_mark(text: &str) -> Result<(), std::num::ParseIntError> {
    Ok(())
}

#[audit_method(reason = if text.is_empty() { return } else { text })]
fn with_return(text: &str) {}

#[audit_method(fields(user = user().await, ok = async { user().await }))]
async fn with_await() {}

async fn user() -> u8 {
    1
}

fn main() {}
