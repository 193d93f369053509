//! The guard under which the body of a `#[track_caller]` function runs in its place.

use std::any::type_name;
use std::ops::{Deref, DerefMut};
use std::thread;
use std::time::Instant;

use audit_record::Outcome;
use tracing::span::EnteredSpan;

use crate::call::lifecycle::Call;
use crate::call::panic;
use crate::scope::{self, Entered};

/// Holds a call open; when dropped, it records whatever end the call came to.
pub struct Guard<'c> {
    call: &'c mut Call,
    returns_result: bool,
    panicking_before: bool,
    // In this order they are left: the span, then the scope.
    span: Option<EnteredSpan>,
    scope: Option<Entered>,
}

impl Call {
    /// Holds this call open for a body that returns `R`. The type of `_place`, a closure that stands in
    /// the body, tells the function's path.
    pub fn guard<R, P>(&mut self, _place: P) -> Guard<'_> {
        if let Some(active) = self.running_mut() {
            active.named(type_name::<P>());
            active.waits_later = true;
        }
        let (scope, span) = match self.running() {
            None => (None, None),
            Some(active) => {
                (Some(scope::enter(active.scope())), Some(active.span.clone().entered()))
            }
        };
        Guard {
            call: self,
            returns_result: type_name::<R>().starts_with("core::result::Result<"),
            panicking_before: thread::panicking(),
            span,
            scope,
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.end_unless_ended();
        // Nothing is waited for within the call.
        self.span = None;
        self.scope = None;
        self.call.wait();
    }
}

impl Guard<'_> {
    fn end_unless_ended(&mut self) {
        let Some(active) = self.call.running_mut() else { return };
        active.ended = Some(Instant::now());
        if thread::panicking() && !self.panicking_before {
            let (error, traceback) = panic::describe_latest(active.shared.started);
            self.call.end(Outcome::Panic, Some(error), traceback);
        } else if self.returns_result {
            // Left by `?`, or by a `return` inside a macro: it returned, and what is not known.
            self.call.end(Outcome::Unknown, None, None);
        } else {
            self.call.end(Outcome::Success, None, None);
        }
    }
}

impl Deref for Guard<'_> {
    type Target = Call;

    fn deref(&self) -> &Call {
        self.call
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut Call {
        self.call
    }
}
