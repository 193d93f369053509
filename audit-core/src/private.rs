//! What the expansion of the attributes calls. Not for use by hand: it changes with any release.

pub use core::fmt::Debug;
pub use core::marker::PhantomData;
pub use core::module_path;
pub use core::option::Option::{self, Some};
pub use core::result::Result::{Err, Ok};
pub use serde::Serialize;
pub use std::borrow::Cow;
pub use std::string::String;
pub use std::vec::Vec;
pub use tracing::level_filters::LevelFilter;

pub use crate::call::{
    Call, InFuture, Input, Moved, NoRoom, Own, argument, begin, by_debug, by_serialize,
    debug_argument, enter, error, generic_error, keep, lend, opaque, outcome, reached, returned,
    room, run_async, run_async_opaque, run_future, run_opaque, skipped, try_run_async, value,
    watch, whole,
};
pub use crate::call_site::{CaptureLevel, Site};
pub use crate::fields::{
    Delta, Entry, Kept, child_path, debug_field, field, key_part, redacted_field,
    redacted_with_field, target_id, with_field,
};
pub use crate::refused::{FromRefused, from_refused};
pub use audit_record::Durability;

/// Stands for a `Result` that can't be named: `Result<impl Fn(), E>`.
pub type Unseen = core::result::Result<(), ()>;

/// Stands for a value of type `T` on an edge that is never taken.
///
/// # Panics
///
/// Always.
#[must_use]
pub fn conjure<T>() -> T {
    unreachable!("the edge that tells the return type is never taken")
}
