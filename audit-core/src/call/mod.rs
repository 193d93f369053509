//! Audited calls, from their start to their end.
//!
//! The expansion of `audit_method` creates a [`Call`], captures the arguments into an [`Input`],
//! runs the body as the call, and records the outcome. [`execute`] does the same without an
//! attribute. The state of the call while it runs is in `in_flight`.
//!
//! | file | contains |
//! |---|---|
//! | `lifecycle` | begin and end of a call |
//! | `input`, `probe`, `value_probe`, `content`, `pattern`, `error`, `returned` | how arguments, return values and errors are captured |
//! | `status`, `failed_if`, `verdict` | how a call ended that returned a value |
//! | `http_types`, `axum_types` | the same for types of these crates |
//! | `run`, `future`, `guard` | the three ways to run a body: at once, polled, and in place |
//! | `follow` | boxed futures that a function returns |
//! | `admit` | calls that are refused if their intent cannot be stored |
//! | `wait` | waiting until the record is stored |
//! | `watch` | field changes of objects that the body may change |
//! | `annotate`, `direct`, `panic` | `note` and similar functions, `execute`, the panic hook |

#[macro_use]
mod macros;

mod admit;
mod annotate;
#[cfg(feature = "axum")]
mod axum_types;
mod content;
mod direct;
mod error;
mod failed_if;
mod follow;
mod future;
mod guard;
#[cfg(feature = "http")]
mod http_types;
mod input;
mod lifecycle;
mod panic;
mod pattern;
mod probe;
mod returned;
mod run;
mod status;
mod value_probe;
mod verdict;
mod wait;
mod watch;

pub use annotate::{
    IntoOutcome, IntoTarget, field, note, outcome as declare_outcome, reason, target,
};
pub use direct::{begin_execute, execute, execute_async};
pub use error::{error, generic_error};
pub use failed_if::failed_if;
pub use follow::returned;
pub use future::{run_async, run_async_fn, try_run_async};
pub use input::{Input, InputBuffer};
pub(crate) use lifecycle::begin_record;
pub use lifecycle::{Call, begin_call};
pub(crate) use panic::{
    describe as describe_panic, describe_latest as describe_latest_panic, install_hook,
};
pub use pattern::pattern;
pub use probe::{
    UnfollowedFuture, by_debug, by_serialize, debug_argument, opaque, outcome, skipped,
};
pub use returned::{Recorded, Returned};
pub use run::{run_async_opaque, run_future, run_opaque};
pub use status::status;
pub use value_probe::{argument, receiver, requested, value};
pub use wait::{NoSlot, async_output, output_slot, reached};
pub use watch::{InFuture, OwnedReturn, lend, unwatched, watch};
