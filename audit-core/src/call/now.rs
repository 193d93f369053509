//! What code inside a call can say about it: [`note`], [`reason`], [`target`], [`field`].
//!
//! All of them concern the innermost call on record of this thread, and do nothing where there is none.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;

use audit_record::Note;
use serde::Serialize;

use crate::in_flight::{
    ANNOTATION_BYTES, ANNOTATIONS, CallShared, Target, limited, set_field, short,
};
use crate::{capture, scope};

/// Attaches a remark to the innermost call on record. There may be up to 1,000 of them in one
/// call, and 256 KiB.
///
/// Outside any call it does nothing.
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
            limited(call, "notes.title", &title),
            limited(call, "notes.description", &description),
        );
        call.while_it_runs(|state| {
            let state = state.rest();
            let bytes = note.title.len() + note.description.len();
            if state.notes.len() < ANNOTATIONS && state.note_bytes + bytes <= ANNOTATION_BYTES {
                state.note_bytes += bytes;
                state.notes.push(note);
            } else {
                state.notes_left_out += 1;
            }
        });
    });
}

/// Says why the innermost call on record is made. The last reason given counts.
///
/// ```
/// let records = audited::testing::capture(|| {
///     audited::execute("delete account", "bank::delete", (), || {
///         audited::reason("asked for by the customer");
///     });
/// });
/// assert_eq!(records[0].reason.as_deref(), Some("asked for by the customer"));
/// ```
pub fn reason(reason: impl Display) {
    with_call(|call| {
        let reason = limited(call, "reason", &reason);
        call.while_it_runs(|state| state.rest().reason = Some(reason));
    });
}

/// Names the object that the innermost call on record is about. The last one named counts.
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
        let id = short(&id);
        let type_name = match type_name.into() {
            Cow::Owned(name) => Cow::Owned(short(&name)),
            name => name,
        };
        let target = Target { type_name, id, label: None };
        call.while_it_runs(|state| state.rest().target = Some(target));
    });
}

/// Adds `key` to `extra` in the record's context. It overrides the context's value for that key, in this
/// record alone.
///
/// A key that is to be masked is, see [`Mask`](crate::Mask).
///
/// ```
/// use audited::Context;
/// use serde_json::json;
///
/// let records = audited::testing::capture(|| {
///     Context::new().extra("tenant", 5).scope(|| {
///         audited::execute("pay invoice", "bank::pay", (), || audited::field("tenant", 6));
///     });
/// });
/// assert_eq!(records[0].context.as_ref().unwrap().to_value(), json!({"extra": {"tenant": 6}}));
/// ```
pub fn field(key: impl AsRef<str>, value: impl Serialize) {
    with_call(|call| {
        set_field(call, key.as_ref(), |out, cuts, path, rules| {
            capture::write_serialize(out, cuts, path, rules, &value);
        });
    });
}

fn with_call(say: impl FnOnce(&Arc<CallShared>)) {
    // What a `Serialize` says while a value is captured is no part of the call, as with its events.
    if !crate::recorder::is_any_active() || capture::in_progress() {
        return;
    }
    if let Some(call) = scope::with(|scope| scope.call.clone()) {
        say(&call);
    }
}
