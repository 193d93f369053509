//! [`Verdict`]: how a call ended whose function returned a value that is not an `Err`.

use audit_record::{ErrorInfo, Note, Outcome};

use crate::in_flight::{Annotations, DeclaredOutcome};

/// What is known of a returned value, beyond that it is not an `Err`.
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    pub(super) error: Option<ErrorInfo>,
    /// It comes from `failed_if`, so the status of the value does not count.
    pub(super) is_tested: bool,
    /// The status that the value or the error carries: `404 Not Found`.
    pub(super) status: Option<String>,
}

impl Default for Verdict {
    fn default() -> Self {
        Self { outcome: Outcome::Success, error: None, is_tested: false, status: None }
    }
}

/// The outcome and the error of a call that ended as the first two arguments say, if the program has
/// declared an outcome, too. A panic and a cancellation stay what they are.
pub(super) fn declared(
    outcome: Outcome,
    error: Option<ErrorInfo>,
    annotations: &mut Annotations,
) -> (Outcome, Option<ErrorInfo>) {
    if matches!(outcome, Outcome::Panic | Outcome::Cancelled) {
        return (outcome, error);
    }
    let Some(DeclaredOutcome { outcome, text }) = annotations.declared.take() else {
        return (outcome, error);
    };
    let is_failure = outcome == Outcome::Failure;
    let error = match (error, text) {
        (None, text) if is_failure => {
            Some(ErrorInfo::new("outcome", text.unwrap_or_default(), Vec::new(), None))
        }
        (error, None) => error,
        // The place of the message is taken, or there is none.
        (error, Some(text)) => {
            annotations.notes.push(Note::new("outcome", text));
            error
        }
    };
    (outcome, error)
}
