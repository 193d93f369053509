//! Adds values of the program to a running call, within limits.

use std::fmt::Display;

use audit_record::Truncation;

use crate::capture::{self, LimitedText};
use crate::in_flight::{CallShared, MAX_ANNOTATION_BYTES, MAX_ANNOTATIONS};

/// Sets the field `name` in the `extra` of the record. It is masked if its name is on the mask, and
/// written by `write` otherwise.
pub(crate) fn set_field(
    call: &CallShared,
    name: &str,
    write: impl FnOnce(capture::ValueWriter<'_>),
) {
    let rules = call.rules();
    // The mask sees the whole name. What is cut may be the part that it matches.
    let is_masked = rules.mask.matches(name);
    let name = &*capture::limited_identifier(name);
    let (mut json, mut cuts) = (String::new(), Vec::new());
    if is_masked {
        capture::write_redacted(&mut json);
    } else {
        write(capture::ValueWriter::new(
            &mut json,
            &mut cuts,
            &format!("context.extra.{name}"),
            rules,
        ));
    }
    call.while_running(|state| {
        cuts.into_iter().for_each(|cut| state.cut(cut));
        let annotations = state.annotations();
        if annotations.fields.len() >= MAX_ANNOTATIONS
            || annotations.field_bytes + name.len() + json.len() > MAX_ANNOTATION_BYTES
        {
            annotations.fields_left_out += 1;
            return;
        }
        annotations.field_bytes += name.len() + json.len();
        match annotations.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, value)) => *value = json,
            None => annotations.fields.push((name.to_owned(), json)),
        }
    });
}

/// The `Display` text of `value`, cut at the byte limit of one value. `path` names it in the list
/// of truncations.
pub(crate) fn limited_text(
    call: &CallShared,
    path: &str,
    value: &(impl Display + ?Sized),
) -> String {
    let LimitedText { text, cut } =
        capture::format_limited(call.rules().limits.bytes, format_args!("{value}"));
    if let Some((kept, was)) = cut {
        let cut = Truncation::new(path, "bytes", kept, was);
        call.while_running(|state| state.cut(cut));
    }
    text
}
