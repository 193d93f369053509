//! What this thread is in the middle of: the context and the innermost call on record.

use std::cell::RefCell;
use std::mem;
use std::sync::Arc;

use crate::in_flight::{CallShared, ContextData};

/// The context and the call that apply to what runs now.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    /// The context, where it is another than that of the call.
    pub(crate) own_context: Option<Arc<ContextData>>,
    pub(crate) call: Option<Arc<CallShared>>,
    /// Where events go, if the subscriber is our own; else spans tell.
    pub(crate) log: Log,
}

/// The call whose log takes the events of this thread.
#[derive(Clone, Default)]
pub(crate) enum Log {
    /// None.
    #[default]
    Nowhere,
    /// The innermost call.
    OfCall,
    /// Another call, whose span was carried here.
    Of(Arc<CallShared>),
}

impl Scope {
    /// The call that events belong to, if the subscriber is our own.
    pub(crate) fn log(&self) -> Option<&Arc<CallShared>> {
        match &self.log {
            Log::Nowhere => None,
            Log::OfCall => self.call.as_ref(),
            Log::Of(call) => Some(call),
        }
    }

    /// The context that applies.
    pub(crate) fn context(&self) -> Option<&Arc<ContextData>> {
        self.own_context.as_ref().or_else(|| self.call.as_ref()?.context.as_ref())
    }
}

thread_local! {
    static SCOPE: RefCell<Scope> = const { RefCell::new(Scope { own_context: None, call: None, log: Log::Nowhere }) };
}

/// Puts `scope` in place until the guard is dropped, also by unwinding.
pub(crate) fn enter(scope: Scope) -> Entered {
    Entered { before: replace(scope) }
}

/// Restores what was in place before [`enter`].
pub(crate) struct Entered {
    before: Scope,
}

impl Drop for Entered {
    fn drop(&mut self) {
        replace(mem::take(&mut self.before));
    }
}

fn replace(scope: Scope) -> Scope {
    // A thread that is ending may have given up its locals; then there is no scope any more.
    SCOPE.try_with(|current| current.replace(scope)).unwrap_or_default()
}

/// Lets events go elsewhere; gives where they went before.
pub(crate) fn replace_log(log: Log) -> Log {
    SCOPE.try_with(|current| mem::replace(&mut current.borrow_mut().log, log)).unwrap_or_default()
}

/// Reads the current scope.
pub(crate) fn with<R>(read: impl FnOnce(&Scope) -> R) -> R {
    let mut read = Some(read);
    SCOPE
        .try_with(|current| read.take().map(|read| read(&current.borrow())))
        .ok()
        .flatten()
        .unwrap_or_else(|| {
            let read = read.take().expect("the local was not there, so nothing was read");
            read(&Scope::default())
        })
}

/// A copy of the current scope.
pub(crate) fn current() -> Scope {
    with(Clone::clone)
}
