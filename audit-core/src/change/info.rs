//! [`SaveInfo`]: additional information about one save or deletion.

use std::fmt::Display;
use std::sync::Arc;

use audit_record::{Json, Truncation};
use serde::Serialize;

use crate::capture::{self, Limits, Mask, Rules};
use crate::current;
use crate::value::Tree;

/// Additional information about the next save or deletion of one object; from
/// [`Tracked::info`](crate::Tracked::info).
///
/// It applies to one attempt only, even if the attempt fails or changes nothing. It is stored in
/// other columns than the changes, so a key can never clash with the name of an audited field.
///
/// The builders [`Bulk`](crate::Bulk) and [`ChangeOf`](crate::ChangeOf) have the same four methods.
#[derive(Debug, Default)]
pub struct SaveInfo {
    pub(super) operator: Option<Arc<str>>,
    pub(super) notes: Vec<String>,
    pub(super) reason: Option<String>,
    pub(super) extra_fields: Vec<ExtraField>,
}

/// A field of the record's `extra`. The value is masked by the rules that applied when it was set.
#[derive(Debug)]
pub(super) struct ExtraField {
    pub(super) key: String,
    value: Json,
    pub(super) cuts: Vec<Truncation>,
}

/// The limit for a reason, and for one note.
const TEXT_BYTES: usize = 16 * 1_024;

impl SaveInfo {
    /// Sets the record's `actor`, in place of the actor of the context.
    pub fn operator(&mut self, operator: impl Display) -> &mut Self {
        self.operator = Some(capture::identifier(&operator).into());
        self
    }

    /// Adds a note to the record's `notes`. Each call adds another note.
    pub fn notes(&mut self, notes: impl Display) -> &mut Self {
        self.notes.push(limited(TEXT_BYTES, &notes));
        self
    }

    /// Sets the record's `reason`.
    pub fn reason(&mut self, reason: impl Display) -> &mut Self {
        self.reason = Some(limited(TEXT_BYTES, &reason));
        self
    }

    /// Sets a further field of the record, in `extra` of its `context`.
    ///
    /// The value is masked and limited as all captured values are. A later value for the same key
    /// replaces the earlier one.
    pub fn field(&mut self, key: impl Into<String>, value: impl Serialize) -> &mut Self {
        let rules =
            current::recorder().map_or_else(Rules::default, |recorder| recorder.rules.clone());
        let (key, mut json, mut cuts) = (key.into(), String::new(), Vec::new());
        if rules.mask.matches(&key) {
            capture::write_redacted(&mut json);
        } else {
            let path = format!("context.extra.{key}");
            capture::ValueWriter::new(&mut json, &mut cuts, &path, &rules).serialize(&value);
        }
        self.extra_fields.retain(|field| field.key != key);
        self.extra_fields.push(ExtraField { key, value: Json::trusted(json), cuts });
        self
    }

    /// Whether nothing has been set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operator.is_none()
            && self.notes.is_empty()
            && self.reason.is_none()
            && self.extra_fields.is_empty()
    }
}

impl ExtraField {
    /// The value under the mask of the recorder that it goes to. That mask may hide more than the
    /// one that applied when the value was set.
    pub(super) fn masked(&self, mask: &Mask) -> Json {
        let text = self.value.as_str();
        // Only the values inside an object have names.
        if !text.contains('{') {
            return self.value.clone();
        }
        let limits =
            Limits::default().bytes(usize::MAX / 4).length(usize::MAX).depth(Limits::MAX_DEPTH);
        let rules = Rules { limits, mask: Mask::none() };
        Tree::from_json(text).masked(mask).to_json(&rules, "", &mut Vec::new())
    }
}

fn limited(bytes: usize, text: &dyn Display) -> String {
    capture::format_limited(bytes, format_args!("{text}")).text
}
