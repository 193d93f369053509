//! What code inside a call adds to its record, within limits.

use std::fmt::Display;

use audit_record::Truncation;

use crate::capture::{self, Bounded, Rules};
use crate::in_flight::CallShared;

/// Notes and fields of one call, and the bytes of each; more are counted and left out.
pub(crate) const ANNOTATIONS: usize = 1_000;
pub(crate) const ANNOTATION_BYTES: usize = 256 * 1024;
/// Bytes of a field's name.
const NAME: usize = 256;
/// Bytes of each part of a target.
const PART: usize = 1_024;

/// Writes one field of `extra`, masked by its name.
pub(crate) fn set_field(
    call: &CallShared,
    name: &str,
    write: impl FnOnce(&mut String, &mut Vec<Truncation>, &str, &Rules),
) {
    let rules = call.rules();
    let name = &*capture::bounded(NAME, format_args!("{name}")).text;
    let (mut json, mut cuts) = (String::new(), Vec::new());
    if rules.mask.matches(name) {
        capture::write_redacted(&mut json);
    } else {
        write(&mut json, &mut cuts, &format!("context.extra.{name}"), rules);
    }
    call.while_it_runs(|state| {
        cuts.into_iter().for_each(|cut| state.cut(cut));
        let state = state.rest();
        if state.fields.len() >= ANNOTATIONS
            || state.field_bytes + name.len() + json.len() > ANNOTATION_BYTES
        {
            state.fields_left_out += 1;
            return;
        }
        state.field_bytes += name.len() + json.len();
        match state.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, value)) => *value = json,
            None => state.fields.push((name.to_owned(), json)),
        }
    });
}

/// The text of `value`, no longer than one value may be; a `Display` that panics gives no text.
pub(crate) fn limited(call: &CallShared, path: &str, value: &(impl Display + ?Sized)) -> String {
    let Bounded { text, cut } =
        capture::bounded(call.rules().limits.bytes, format_args!("{value}"));
    if let Some((kept, was)) = cut {
        let cut = Truncation::new(path, "bytes", kept, was);
        call.while_it_runs(|state| state.cut(cut));
    }
    text
}

/// What `Display` says, at most [`PART`] bytes of it. One that panics gives a mark.
pub(crate) fn short(part: &dyn Display) -> String {
    capture::bounded(PART, format_args!("{part}")).text
}
