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

pub use crate::call::direct::begin;
pub use crate::call::error::{error, generic_error};
pub use crate::call::probe::{
    argument, by_debug, by_serialize, debug_argument, opaque, outcome, returned, skipped, value,
};
pub use crate::call::wait::{NoRoom, keep, room};
pub use crate::call::watch::{InFuture, Moved, Own, lend, reached, watch, whole};
pub use crate::call::{
    Call, Input, enter, run_async, run_async_opaque, run_future, run_opaque, try_run_async,
};
pub use crate::change::{
    Delta, Entry, Kept, child_path, debug_field, field, key_part, redacted_field,
    redacted_with_field, target_id, with_field,
};
pub use crate::durability::Durability;
pub use crate::refused::{FromRefused, from_refused};
pub use crate::site::{CaptureLevel, Site};

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
