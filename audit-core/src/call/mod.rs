//! Audited calls, from their start to their end.
//!
//! The expansion of `audit_method` creates a [`Call`], captures the arguments into an [`Input`],
//! runs the body as the call, and records the outcome. [`execute`] does the same without an
//! attribute. The state of the call while it runs is in `in_flight`.
//!
//! | file | contains |
//! |---|---|
//! | `lifecycle` | begin and end of a call |
//! | `input`, `probe`, `value_probe`, `error`, `returned` | how arguments, return values and errors are captured |
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
mod direct;
mod error;
mod follow;
mod future;
mod guard;
mod input;
mod lifecycle;
mod panic;
mod probe;
mod returned;
mod run;
mod value_probe;
mod wait;
mod watch;

pub use annotate::{IntoTarget, field, note, reason, target};
pub use direct::{begin_execute, execute, execute_async};
pub use error::{error, generic_error};
pub use follow::returned;
pub use future::{run_async, run_async_fn, try_run_async};
pub use input::{Input, InputBuffer};
pub(crate) use lifecycle::begin_record;
pub use lifecycle::{Call, begin_call};
pub(crate) use panic::{
    describe as describe_panic, describe_latest as describe_latest_panic, install_hook,
};
pub use probe::{
    UnfollowedFuture, by_debug, by_serialize, debug_argument, opaque, outcome, skipped,
};
pub use returned::{Recorded, Returned};
pub use run::{run_async_opaque, run_future, run_opaque};
pub use value_probe::{argument, receiver, requested, value};
pub use wait::{NoSlot, async_output, output_slot};
pub use watch::{InFuture, MovedArgument, OwnedReturn, borrow_whole, lend, reached, watch};
