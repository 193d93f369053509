//! The items that the expansions of the attributes and of `execute!` name.
//!
//! Not a public API: it may change in any release. The expansion contains no logic, so all
//! decisions about a call are made here.

pub use core::assert;
pub use core::cmp::PartialEq;
pub use core::fmt::Debug;
pub use core::future::Future;
pub use core::marker::PhantomData;
pub use core::module_path;
pub use core::option::Option::{self, Some};
pub use core::primitive::bool;
pub use core::result::Result::{Err, Ok};
pub use serde::Serialize;
pub use std::borrow::Cow;
pub use std::string::String;
pub use std::vec::Vec;
pub use tracing::level_filters::LevelFilter;

pub use crate::call::{
    Call, InFuture, Input, InputBuffer, NoSlot, OwnedReturn, UnfollowedFuture, argument,
    async_output, begin_call, begin_execute, by_debug, by_serialize, debug_argument, error,
    failed_if, generic_error, lend, opaque, outcome, output_slot, pattern, reached, receiver,
    requested, returned, run_async, run_async_fn, run_async_opaque, run_future, run_opaque,
    skipped, status, try_run_async, unwatched, value, watch,
};
pub use crate::call_site::{CallSite, CaptureLevel};
pub use crate::fields::{
    CatalogueEntry, FieldSnapshot, FieldVisitor, TargetObject, child_path, compare_set,
    debug_field, field, key_part, part, redacted_field, redacted_with_field, target_id, with_field,
};
pub use crate::refused::{FromRefused, from_refused};
pub use crate::value::RecordedParts;
pub use audit_record::Durability;

/// Stands for a `Result` type that cannot be named in the expansion: `Result<impl Fn(), E>`.
pub type UnnamedResult = core::result::Result<(), ()>;

/// A value of type `T` for a branch that never runs. The branch only tells the compiler a type.
///
/// # Panics
///
/// Always.
#[must_use]
pub fn unreachable_value<T>() -> T {
    unreachable!("this branch only tells the compiler a type")
}
