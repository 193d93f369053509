//! Makes a [`Tree`] of a value, a `Debug` text or JSON, and JSON of a tree.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use audit_record::{Json, Truncation};
use serde::Serialize;

use crate::capture::{
    self, Depth, Limits, Mask, Policy, Rules, UserCodeGuard, ValueWriter, catch_part,
    is_secret_type, keyed_hash,
};
use crate::value::tree::Tree;
use crate::value::tree_serializer::{MemoryBudget, TreeSerializer, tree_of};
use crate::value::{parse, serialize};

/// About how many bytes one tree may take. No field is as large, but an endless `Serialize` is.
const MAX_BYTES: usize = 256 * 1024 * 1024;

impl Tree {
    /// The tree of what would be recorded of `value`. Of hidden parts it has only a hash.
    ///
    /// Never fails: a part that cannot be serialised is replaced by the reason. To find the part
    /// that panics, `value` is serialised a second time.
    pub(crate) fn of<T: ?Sized + Serialize>(value: &T, mask: &Mask) -> Self {
        Self::of_limited(MAX_BYTES, value, mask)
    }

    /// As [`of`](Self::of), with at most about `bytes` bytes.
    pub(super) fn of_limited<T: ?Sized + Serialize>(bytes: usize, value: &T, mask: &Mask) -> Self {
        let policy = Policy::new(mask, Limits::UNLIMITED);
        let mut budget = MemoryBudget::new(bytes);
        let serializer = TreeSerializer { budget: &mut budget, policy, depth: Depth::ROOT };
        let _guard = UserCodeGuard::enter();
        let result = catch_unwind(AssertUnwindSafe(|| tree_of(serializer, value)));
        let result = result.unwrap_or_else(|panic| {
            capture::drop_panic(panic);
            budget = MemoryBudget::catching_parts(bytes);
            let serializer = TreeSerializer { budget: &mut budget, policy, depth: Depth::ROOT };
            catch_part(|| tree_of(serializer, value))
        });
        match result {
            _ if budget.is_exceeded() => Self::NotRecorded("it is too large to be compared".into()),
            Ok(tree) => tree,
            Err(error) => budget.not_recorded(Depth::ROOT.level, error),
        }
    }

    /// The `{:?}` text of `value`, with the values of hidden names replaced.
    pub(crate) fn of_debug<T: ?Sized + Debug>(value: &T, mask: &Mask) -> Self {
        let text = capture::format_limited(MAX_BYTES, format_args!("{value:?}")).text;
        if is_secret_type::<T>() {
            return Self::Text(text.into()).into_secret();
        }
        match capture::masked_debug(&text, mask) {
            Some(masked) => Self::Masked(masked.into(), keyed_hash(&text)),
            None => Self::Text(text.into()),
        }
    }

    /// As [`masked`](Self::masked), for a tree of [`of_debug`](Self::of_debug): its names are
    /// inside the text.
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

    /// The tree of JSON text. A text that is not JSON becomes a text.
    pub(crate) fn from_json(text: &str) -> Self {
        parse::tree(text).unwrap_or_else(|_| Self::Text(text.into()))
    }

    /// The tree as it is recorded: within limits, and with names hidden.
    pub(crate) fn to_json(
        &self,
        rules: &Rules,
        path: &str,
        truncations: &mut Vec<Truncation>,
    ) -> Json {
        let mut json = String::new();
        let writer = ValueWriter::new(&mut json, truncations, path, rules);
        writer.serialize(&serialize::WithExactNumbers(self));
        Json::trusted(json)
    }
}
