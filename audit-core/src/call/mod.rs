//! Calls of audited functions, from their start to their outcome.

mod admit;
mod direct;
mod error;
mod future;
mod guard;
mod input;
mod lifecycle;
mod now;
mod panic;
mod probe;
mod returned;
mod run;
mod target;
mod wait;
mod watch;

pub use direct::{begin, execute, execute_async};
pub use error::{error, generic_error};
pub use future::{run_async, try_run_async};
pub use input::Input;
pub(crate) use lifecycle::occurrence;
pub use lifecycle::{Call, enter};
pub use now::{field, note, reason, target};
pub(crate) use panic::{
    describe as describe_panic, describe_latest as describe_latest_panic, install_hook,
};
pub use probe::{
    argument, by_debug, by_serialize, debug_argument, opaque, outcome, returned, skipped, value,
};
pub use returned::{Recorded, Returned};
pub use run::{run_async_opaque, run_future, run_opaque};
pub use target::IntoTarget;
pub use wait::{NoRoom, keep, room};
pub use watch::{InFuture, Moved, Own, lend, reached, watch, whole};
