//! The scope of this thread: the context that applies, and the innermost call that is recorded.
//!
//! Contexts and calls enter a scope for as long as their code runs. A future enters it for each
//! poll.

use std::cell::RefCell;
use std::mem;
use std::sync::Arc;

use crate::in_flight::{CallShared, ContextData};

/// The context and the call that apply to the code that runs now.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    /// The context, if it is not that of the call.
    pub(crate) own_context: Option<Arc<ContextData>>,
    pub(crate) call: Option<Arc<CallShared>>,
    /// Which call gets the events of this thread. It is used only if the subscriber is our own;
    /// otherwise the spans decide.
    pub(crate) log: LogTarget,
}

/// The call whose log gets the events of this thread.
#[derive(Clone, Default)]
pub(crate) enum LogTarget {
    /// No call.
    #[default]
    None,
    /// The innermost call, [`Scope::call`].
    InnermostCall,
    /// Another call, whose span was carried to this thread.
    Call(Arc<CallShared>),
}

impl Scope {
    /// The call that gets events, if the subscriber is our own.
    pub(crate) fn log(&self) -> Option<&Arc<CallShared>> {
        match &self.log {
            LogTarget::None => None,
            LogTarget::InnermostCall => self.call.as_ref(),
            LogTarget::Call(call) => Some(call),
        }
    }

    /// The context that applies.
    pub(crate) fn context(&self) -> Option<&Arc<ContextData>> {
        self.own_context.as_ref().or_else(|| self.call.as_ref()?.context.as_ref())
    }
}

thread_local! {
    static SCOPE: RefCell<Scope> =
        const { RefCell::new(Scope { own_context: None, call: None, log: LogTarget::None }) };
}

/// Makes `scope` the current one until the guard is dropped, also by unwinding.
pub(crate) fn enter(scope: Scope) -> Entered {
    Entered { previous: replace(scope) }
}

/// The guard of [`enter`]. It restores the previous scope.
pub(crate) struct Entered {
    previous: Scope,
}

impl Drop for Entered {
    fn drop(&mut self) {
        replace(mem::take(&mut self.previous));
    }
}

fn replace(scope: Scope) -> Scope {
    // A thread that is ending may have destroyed its thread-locals. It then has no scope.
    SCOPE.try_with(|current| current.replace(scope)).unwrap_or_default()
}

/// Changes which call gets events, and returns the previous value.
pub(crate) fn replace_log_target(target: LogTarget) -> LogTarget {
    SCOPE
        .try_with(|current| mem::replace(&mut current.borrow_mut().log, target))
        .unwrap_or_default()
}

/// Calls `read` with the current scope.
pub(crate) fn with<R>(read: impl FnOnce(&Scope) -> R) -> R {
    let mut read = Some(read);
    SCOPE
        .try_with(|current| read.take().map(|read| read(&current.borrow())))
        .ok()
        .flatten()
        .unwrap_or_else(|| {
            let read =
                read.take().expect("the thread-local is destroyed, so `read` was not called");
            read(&Scope::default())
        })
}

/// A copy of the current scope.
pub(crate) fn current() -> Scope {
    with(Clone::clone)
}
