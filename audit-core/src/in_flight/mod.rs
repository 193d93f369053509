//! The state of a call while it runs, and the record made of it.

mod annotate;
mod call;
mod context;
mod nested;
mod pool;
mod record;
mod url;

pub(crate) use annotate::{ANNOTATION_BYTES, ANNOTATIONS, limited, set_field, short};
pub(crate) use call::{Began, CallShared, CallState, End, Failure, LogLine, Target};
pub(crate) use context::{ContextData, extra_only};
pub(crate) use nested::{CHANGES, Object, Parts, Register, Told, Watched};
pub(crate) use pool::drain as drain_spare_calls;
