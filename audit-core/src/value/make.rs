//! Makes a [`Tree`] of a value, of a `Debug` text, or of JSON, and JSON of a tree.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use audit_record::{Json, Truncation};
use serde::Serialize;

use crate::capture::{self, Mask, Rules, Running, is_secret_type};
use crate::keyed_hash::keyed_hash;
use crate::value::tree::Tree;
use crate::value::{build, parse, write};

/// About how many bytes one tree may take. No field is as large; an endless `Serialize` is.
const MOST: usize = 256 * 1024 * 1024;

impl Tree {
    /// What would be recorded of `value`. What `mask` hides is only there as a hash.
    ///
    /// Never fails: a value that can't be serialised gives a text that says why.
    pub(crate) fn of<T: ?Sized + Serialize>(value: &T, mask: &Mask) -> Self {
        Self::within(MOST, value, mask)
    }

    pub(super) fn within<T: ?Sized + Serialize>(most: usize, value: &T, mask: &Mask) -> Self {
        let mut state = build::State::new(mask, most);
        let running = Running::begin();
        let made = catch_unwind(AssertUnwindSafe(|| build::taken(state.root(), value)));
        drop(running);
        match made {
            _ if state.is_full() => Self::not_recorded("it is too large to be compared"),
            Ok(Ok(tree)) => tree,
            Ok(Err(stop)) => Self::not_recorded(&stop.into_text()),
            Err(panic) => {
                capture::discard(panic);
                Self::not_recorded("serialising it panicked")
            }
        }
    }

    /// The `{:?}` text of `value`, with the values of hidden names replaced.
    pub(crate) fn of_debug<T: ?Sized + Debug>(value: &T, mask: &Mask) -> Self {
        let text = capture::bounded(MOST, format_args!("{value:?}")).text;
        if is_secret_type::<T>() {
            return Self::Text(text.into()).into_secret();
        }
        match capture::masked_debug(&text, mask) {
            Some(masked) => Self::Masked(masked.into(), keyed_hash(&text)),
            None => Self::Text(text.into()),
        }
    }

    /// As [`masked`](Self::masked), of what [`of_debug`](Self::of_debug) has made: there, names stand inside the text.
    #[must_use]
    pub(crate) fn masked_debug(self, mask: &Mask) -> Self {
        let (text, hash) = match self {
            Self::Text(text) => (text, None),
            Self::Masked(text, hash) => (text, Some(hash)),
            other => return other,
        };
        match (capture::masked_debug(&text, mask), hash) {
            (Some(masked), hash) => {
                Self::Masked(masked.into(), hash.unwrap_or_else(|| keyed_hash(&*text)))
            }
            (None, Some(hash)) => Self::Masked(text, hash),
            (None, None) => Self::Text(text),
        }
    }

    /// As [`of`](Self::of), of JSON text; what is none becomes a text.
    pub(crate) fn from_json(text: &str) -> Self {
        parse::tree(text).unwrap_or_else(|_| Self::Text(text.into()))
    }

    /// As it is stored: within limits, and with names hidden.
    pub(crate) fn to_json(&self, rules: &Rules, path: &str, cuts: &mut Vec<Truncation>) -> Json {
        let mut text = String::new();
        capture::write_serialize(&mut text, cuts, path, rules, &write::Exactly(self));
        Json::trusted(text)
    }
}
