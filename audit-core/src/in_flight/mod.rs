//! The state of an audited call while it runs, and the record made of it afterwards.
//!
//! A [`CallShared`] is shared by everything that adds to a call. This is the function itself, the
//! tracing layer, [`note`](crate::note) and similar functions, and the calls nested in it. When the
//! call ends, its state is queued for the writer thread, which makes the
//! [`Record`](audit_record::Record).

mod call;
mod context;
mod identifiers;
mod limited;
mod log_tail;
mod nested;
mod record;
mod state;
mod url;

pub(crate) use call::{CallShared, StartTime, drain_spare_calls, open_spare_calls};
pub(crate) use context::{ContextData, ContextValue};
pub(crate) use identifiers::limit_identifiers;
pub(crate) use limited::{limited_text, set_field};
pub(crate) use nested::{
    MAX_CHANGES, NestedChanges, ObjectChanges, ObjectIdentity, ObjectValues, WatchedObject,
};
pub(crate) use state::{
    Annotations, CallEnd, CallState, DeclaredOutcome, FailureDetails, LogEvent,
    MAX_ANNOTATION_BYTES, MAX_ANNOTATIONS, Target,
};
pub(crate) use url::Url;
