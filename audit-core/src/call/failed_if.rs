//! The argument `failed_if` of the attribute.

use audit_record::{ErrorInfo, Outcome};

use crate::call::lifecycle::Call;
use crate::capture;

/// Decides by `test` whether the call has failed that returned `value`. `expression` is its source
/// text, which becomes the message of the error.
///
/// If the test panics, the outcome is not known.
pub fn failed_if<T: ?Sized>(
    call: &mut Call,
    value: &T,
    test: impl FnOnce(&T) -> bool,
    expression: &'static str,
) {
    let Some(verdict) = call.verdict() else { return };
    let (outcome, message) = match capture::run_user_code(|| test(value)) {
        Some(false) => (Outcome::Success, None),
        Some(true) => (Outcome::Failure, Some(expression.to_owned())),
        None => (Outcome::Unknown, Some(format!("`{expression}` panicked"))),
    };
    verdict.outcome = outcome;
    verdict.error = message.map(|text| ErrorInfo::new("failed_if", text, Vec::new(), None));
    verdict.is_tested = true;
}
