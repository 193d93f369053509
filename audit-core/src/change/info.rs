//! What is said of a type when the program is compiled ([`TypeInfo`]), and of one save when it is made
//! ([`SaveInfo`]).

use std::fmt::Display;
use std::sync::Arc;

use audit_record::{Json, Truncation};
use serde::Serialize;

use crate::capture::{self, Limits, Mask, Rules};
use crate::current;
use crate::value::Tree;

/// What is said of the next save or delete of one object: who, why, and any further key.
///
/// It counts for that one attempt, also when it fails or has nothing to tell, and is gone then. It stands beside the
/// changes in the record (`actor`, `notes`, `reason`, `context`), so its keys can't clash with the names of
/// fields.
#[derive(Debug, Default)]
pub struct SaveInfo {
    pub(super) operator: Option<Arc<str>>,
    pub(super) notes: Vec<String>,
    pub(super) reason: Option<String>,
    pub(super) fields: Vec<Said>,
}

/// A further key, its value under the masks in place when it was said, and what was cut of it.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) key: String,
    pub(super) value: Json,
    pub(super) cuts: Vec<Truncation>,
}

/// Bytes of a name, and of a remark.
const NAME: usize = 1_024;
const TEXT: usize = 16 * 1_024;

impl SaveInfo {
    /// Who does it: the record's `actor`, whatever the context says.
    pub fn operator(&mut self, operator: impl Display) -> &mut Self {
        self.operator = Some(limited(NAME, &operator).into());
        self
    }

    /// A remark; the record's `notes`. May be said more than once.
    pub fn notes(&mut self, notes: impl Display) -> &mut Self {
        self.notes.push(limited(TEXT, &notes));
        self
    }

    /// Why it is done; the record's `reason`.
    pub fn reason(&mut self, reason: impl Display) -> &mut Self {
        self.reason = Some(limited(TEXT, &reason));
        self
    }

    /// A further key: `extra` in the record's `context`. Its value is masked by its name as everywhere.
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
        self.fields.retain(|said| said.key != key);
        self.fields.push(Said { key, value: Json::trusted(json), cuts });
        self
    }

    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operator.is_none()
            && self.notes.is_empty()
            && self.reason.is_none()
            && self.fields.is_empty()
    }
}

impl Said {
    /// The value as a recorder with this mask may see it: it may hide more than the one before.
    pub(super) fn masked(&self, mask: &Mask) -> Json {
        let text = self.value.as_str();
        // Only what is in a map has a name.
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
