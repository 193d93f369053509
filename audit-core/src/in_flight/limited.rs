//! Adds values of the program to a running call, within limits.

use std::fmt::Display;

use audit_record::Truncation;

use crate::capture::{self, LimitedText};
use crate::in_flight::{CallShared, MAX_ANNOTATION_BYTES, MAX_ANNOTATIONS};

/// Limit of the name of a field, in bytes.
const MAX_FIELD_NAME_BYTES: usize = 256;
/// Limit of each part of a target, in bytes.
const MAX_TARGET_PART_BYTES: usize = 1_024;

/// Sets the field `name` in the `extra` of the record. It is masked if its name is on the mask, and
/// written by `write` otherwise.
pub(crate) fn set_field(
    call: &CallShared,
    name: &str,
    write: impl FnOnce(capture::ValueWriter<'_>),
) {
    let rules = call.rules();
    let name = &*capture::format_limited(MAX_FIELD_NAME_BYTES, format_args!("{name}")).text;
    let (mut json, mut cuts) = (String::new(), Vec::new());
    if rules.mask.matches(name) {
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

/// The `Display` text of a part of a target: at most 1,024 bytes.
pub(crate) fn target_text(part: &dyn Display) -> String {
    capture::format_limited(MAX_TARGET_PART_BYTES, format_args!("{part}")).text
}
