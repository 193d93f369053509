//! Functions that add to a call: [`note`], [`reason`], [`target`], [`field`] and [`outcome`].
//!
//! These functions add to the innermost recorded call of the thread. They do nothing if there is
//! none, and nothing while a value is being captured.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;

use audit_record::{Note, Outcome};
use serde::Serialize;

use crate::in_flight::{CallShared, DeclaredOutcome, Target, limited_text, set_field};
use crate::{capture, recorder, scope};

/// Attaches a note to the innermost recorded call.
///
/// It does nothing outside a call. One call keeps at most 1,000 notes and 256 KiB of them; excess
/// notes are counted in the record.
///
/// ```
/// let records = audited::testing::capture(|| {
///     audited::execute("pay invoice", "bank::pay", (), || {
///         audited::note("ticket", "approved by phone");
///     });
/// });
/// assert_eq!(records[0].notes[0].title, "ticket");
/// assert_eq!(records[0].notes[0].description, "approved by phone");
/// ```
pub fn note(title: impl Display, description: impl Display) {
    with_call(|call| {
        let note = Note::new(
            limited_text(call, "notes.title", &title),
            limited_text(call, "notes.description", &description),
        );
        call.while_running(|state| state.annotations().add_note(note));
    });
}

/// Sets the reason for the innermost recorded call. It does nothing outside a call.
///
/// A later reason replaces an earlier one.
///
/// ```
/// let records = audited::testing::capture(|| {
///     audited::execute("delete account", "bank::delete", (), || {
///         audited::reason("requested by the customer");
///     });
/// });
/// assert_eq!(records[0].reason.as_deref(), Some("requested by the customer"));
/// ```
pub fn reason(reason: impl Display) {
    with_call(|call| {
        let reason = limited_text(call, "reason", &reason);
        call.while_running(|state| state.annotations().reason = Some(reason));
    });
}

/// Sets the object that the innermost recorded call is about: its type and its id. It does nothing
/// outside a call.
///
/// A later target replaces an earlier one. Each part is cut at 1,024 bytes. What is
/// cut ends with a digest of the whole text, so that two long ids stay different.
///
/// ```
/// let records = audited::testing::capture(|| {
///     audited::execute("pay invoice", "bank::pay", (), || {
///         audited::target("invoice", 4711);
///     });
/// });
/// assert_eq!(records[0].target_type.as_deref(), Some("invoice"));
/// assert_eq!(records[0].target_id.as_deref(), Some("4711"));
/// ```
pub fn target(type_name: impl Into<Cow<'static, str>>, id: impl Display) {
    with_call(|call| {
        let id = capture::identifier(&id);
        let type_name = capture::limited_identifier(type_name);
        let target = Target { type_name, id, label: None };
        call.while_running(|state| state.annotations().set_target(target));
    });
}

/// Sets the field `key` in the `extra` of the innermost recorded call. It does nothing outside a
/// call.
///
/// In this one record, it overrides the field that [`Context::field`](crate::Context::field) has
/// set for the same key. The value is masked if the [`Mask`](crate::Mask) contains the key. One
/// call keeps at most 1,000 fields and 256 KiB of them; excess fields are counted in the record.
///
/// ```
/// use audited::Context;
/// use serde_json::json;
///
/// let records = audited::testing::capture(|| {
///     Context::new().field("tenant", 5).scope(|| {
///         audited::execute("pay invoice", "bank::pay", (), || audited::field("tenant", 6));
///     });
/// });
/// assert_eq!(records[0].context.as_ref().unwrap().to_value(), json!({"extra": {"tenant": 6}}));
/// ```
pub fn field(key: impl AsRef<str>, value: impl Serialize) {
    with_call(|call| {
        set_field(call, key.as_ref(), |writer| {
            writer.serialize(&value);
        });
    });
}

/// Declares how the innermost recorded call ends, where its return value does not tell. It does
/// nothing outside a call.
///
/// Pass an [`Outcome`], or an outcome and a text that explains it. The text of a failure becomes the
/// message of the record's error, which has the type `outcome`. If the call returns an `Err`, that
/// error is recorded instead, and the text becomes a note.
///
/// The declared outcome takes precedence over an `Err`, an HTTP status and the argument `failed_if`
/// of the attribute. A later declaration replaces an earlier one. A panic and a cancellation are
/// always recorded as such; declared, they count as a failure.
///
/// ```
/// use audited::Outcome;
///
/// let records = audited::testing::capture(|| {
///     audited::execute("print labels", "shop::print", (), || {
///         let (printed, all) = (3, 5);
///         if printed < all {
///             audited::outcome((Outcome::Failure, format!("{printed} of {all} labels")));
///         }
///         printed
///     });
/// });
/// assert_eq!(records[0].outcome, Outcome::Failure);
/// assert_eq!(records[0].error.as_ref().unwrap().message, "3 of 5 labels");
/// assert_eq!(records[0].output.as_ref().unwrap().as_str(), "3");
/// ```
pub fn outcome(outcome: impl IntoOutcome) {
    with_call(|call| {
        let (outcome, text) = outcome.parts();
        let text = text.map(|text| limited_text(call, "error.message", text));
        let outcome = match outcome {
            Outcome::Panic | Outcome::Cancelled => Outcome::Failure,
            declared => declared,
        };
        call.while_running(|state| {
            state.annotations().declared = Some(DeclaredOutcome { outcome, text });
        });
    });
}

/// An argument of [`outcome`]: an [`Outcome`], or an outcome and a text that explains it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how a call ends",
    note = "pass an `audited::Outcome`, or `(outcome, text)`, where the text is `Display`"
)]
pub trait IntoOutcome {
    /// The outcome, and the text.
    fn parts(&self) -> (Outcome, Option<&dyn Display>);
}

impl IntoOutcome for Outcome {
    fn parts(&self) -> (Outcome, Option<&dyn Display>) {
        (*self, None)
    }
}

impl<T: Display> IntoOutcome for (Outcome, T) {
    fn parts(&self) -> (Outcome, Option<&dyn Display>) {
        (self.0, Some(&self.1))
    }
}

fn with_call(annotate: impl FnOnce(&Arc<CallShared>)) {
    // What a `Serialize` adds while a value is captured does not belong to the call.
    if !recorder::is_any_active() || capture::in_progress() {
        return;
    }
    if let Some(call) = scope::with(|scope| scope.call.clone()) {
        annotate(&call);
    }
}

/// A value of the attribute's argument `target`: a type and an id, or a type, an id and a label.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the target of a call",
    note = "write `target = (type, id)` or `target = (type, id, label)`, where the type is a \
            string and the other parts are `Display`"
)]
pub trait IntoTarget {
    /// Converts the parts to text.
    fn into_target(self) -> TargetParts;
}

/// The parts of a target, as text.
#[derive(Debug)]
pub struct TargetParts(pub(super) Target);

#[diagnostic::do_not_recommend]
impl<T: AsRef<str> + ?Sized, I: Display + ?Sized> IntoTarget for (&T, &I) {
    fn into_target(self) -> TargetParts {
        TargetParts(Target {
            type_name: capture::limited_identifier(self.0.as_ref()).into_owned().into(),
            id: capture::identifier(self.1),
            label: None,
        })
    }
}

#[diagnostic::do_not_recommend]
impl<T, I, L> IntoTarget for (&T, &I, &L)
where
    T: AsRef<str> + ?Sized,
    I: Display + ?Sized,
    L: Display + ?Sized,
{
    fn into_target(self) -> TargetParts {
        TargetParts(Target {
            label: Some(capture::identifier(self.2)),
            ..(self.0, self.1).into_target().0
        })
    }
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str>, I: Display> IntoTarget for &(T, I) {
    fn into_target(self) -> TargetParts {
        (&self.0, &self.1).into_target()
    }
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str>, I: Display, L: Display> IntoTarget for &(T, I, L) {
    fn into_target(self) -> TargetParts {
        (&self.0, &self.1, &self.2).into_target()
    }
}
