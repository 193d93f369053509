//! [`Guard`]: runs a body in place, without a closure around it.
//!
//! Used for `#[track_caller]` functions and for functions that return `impl Trait`: a closure would
//! change what they see, or what they may return.

use std::any::type_name;
use std::ops::{Deref, DerefMut};
use std::thread;
use std::time::Instant;

use audit_record::Outcome;
use tracing::span::EnteredSpan;

use crate::call::lifecycle::Call;
use crate::call::panic;
use crate::call::probe::UnfollowedFuture;
use crate::capture::{has_status, is_result};
use crate::scope::{self, Entered};

/// Keeps a call entered. Its drop ends the call, unless the expansion has recorded an outcome.
pub struct Guard<'c> {
    call: &'c mut Call,
    returns_result: bool,
    returns_future: bool,
    panicking_before: bool,
    // Fields are dropped in order: the span is exited before the scope.
    span: Option<EnteredSpan>,
    scope: Option<Entered>,
}

impl Call {
    /// Enters this call for a body that returns `R`. The type of `_place`, a closure in the
    /// function's body, has the function's path as its name.
    pub fn guard<R, P>(&mut self, _place: P) -> Guard<'_> {
        if let Some(running) = self.running_mut() {
            running.set_method(type_name::<P>());
            running.waits_later = true;
        }
        let (scope, span) = match self.running() {
            None => (None, None),
            Some(running) => {
                (Some(scope::enter(running.scope())), Some(running.span.clone().entered()))
            }
        };
        Guard {
            call: self,
            returns_result: is_result::<R>() || has_status::<R>(),
            returns_future: type_name::<R>() == type_name::<UnfollowedFuture>(),
            panicking_before: thread::panicking(),
            span,
            scope,
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.end_unless_ended();
        // The call does not wait for its record while it is still entered.
        self.span = None;
        self.scope = None;
        self.call.wait();
    }
}

impl Guard<'_> {
    fn end_unless_ended(&mut self) {
        let Some(running) = self.call.running_mut() else { return };
        running.ended = Some(Instant::now());
        if thread::panicking() && !self.panicking_before {
            let (error, traceback) = panic::describe_latest(running.shared.started);
            self.call.end(Outcome::Panic, Some(error), traceback);
        } else if self.returns_future {
            self.call.ended_before_its_future();
        } else if self.returns_result {
            // The body returned by `?`, or by a `return` inside a macro: its value is not known.
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
