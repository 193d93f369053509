//! Runs the body of a function that is not `async`, as a call.

use std::any::type_name;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::Result;
use std::time::Instant;

use audit_record::Outcome;

use crate::call::future::{ReturnedFuture, run_async};
use crate::call::lifecycle::{Call, RunningCall};
use crate::call::wait::OutputSlot;
use crate::call::{panic, probe};
use crate::scope::{self, Entered};

impl Call {
    /// Runs `body` as this call. A panic is recorded and resumed with its payload.
    #[inline]
    pub fn run<R, F: FnOnce() -> R>(&mut self, body: F) -> R {
        if self.is_recorded() { self.run_recorded(body) } else { body() }
    }

    /// The same as [`run`](Self::run), for a call that is recorded.
    pub(super) fn run_recorded<R, F: FnOnce() -> R>(&mut self, body: F) -> R {
        match self.catch(body) {
            Ok(value) => value,
            Err(payload) => self.take().panicked(payload),
        }
    }

    /// Runs `body` as this call, and catches a panic. Watched objects are compared afterwards,
    /// before [`unwrap_or_resume`](Self::unwrap_or_resume).
    #[inline]
    pub fn try_run<R, F: FnOnce() -> R>(&mut self, body: F) -> Result<R> {
        if self.is_recorded() { self.catch(body) } else { Ok(body()) }
    }

    /// In a debug build, the frames of this function and of those that it calls are on the stack of
    /// `body`. So `body` is lent to them, and other work is done in functions that return before.
    #[inline]
    fn catch<R, F: FnOnce() -> R>(&mut self, body: F) -> Result<R> {
        let mut body = Some(body);
        let _entered = self.enter_body(type_name::<F>());
        catch_unwind(AssertUnwindSafe(|| run_once(&mut body)))
    }

    /// Enters this call for a body with the type name `body`.
    #[inline]
    fn enter_body(&mut self, body: &'static str) -> Option<BodyEntered<'_>> {
        let running = self.running_mut()?;
        running.set_method(body);
        let scope = scope::enter(running.scope());
        running.span.with_subscriber(|(id, subscriber)| subscriber.enter(id));
        Some(BodyEntered { running, scope: Some(scope) })
    }

    /// Returns the value of [`try_run`](Self::try_run). A panic is recorded and resumed with its
    /// payload.
    #[inline]
    pub fn unwrap_or_resume<R>(&mut self, result: Result<R>) -> R {
        match result {
            Ok(value) => value,
            Err(payload) => self.take().panicked(payload),
        }
    }

    /// Records a panic with `payload`, and resumes it.
    #[cold]
    pub(crate) fn panicked(mut self, payload: Box<dyn std::any::Any + Send>) -> ! {
        if let Some(running) = self.running() {
            let (error, traceback) = panic::describe(&*payload, running.shared.started);
            self.end(Outcome::Panic, Some(error), traceback);
            // A future blocks here, too, because it cannot await while it unwinds.
            self.wait();
        }
        resume_unwind(payload)
    }
}

#[inline]
fn run_once<R, F: FnOnce() -> R>(body: &mut Option<F>) -> R {
    (body.take().expect("it runs once"))()
}

/// A body runs as a call. The drop of this guard is the end of the body.
struct BodyEntered<'c> {
    running: &'c mut RunningCall,
    scope: Option<Entered>,
}

impl Drop for BodyEntered<'_> {
    #[inline]
    fn drop(&mut self) {
        self.running.span.with_subscriber(|(id, subscriber)| subscriber.exit(id));
        self.scope = None;
        self.running.ended = Some(Instant::now());
    }
}

/// Runs a body whose value can be recorded only by the name of its type.
#[inline]
pub fn run_opaque<R, F: FnOnce() -> R>(mut call: Call, body: F) -> R {
    let value = call.run(body);
    if call.is_recorded() {
        probe::opaque(&value).__audited_record_output(&mut call);
    }
    value
}

/// Runs a body that returns a future. The call ends when that future is ready.
///
/// `finish` records the output of the future. `slot` keeps the output while the future awaits the
/// record.
#[inline]
pub fn run_future<T, F, O, S>(
    mut call: Call,
    body: F,
    finish: O,
    slot: S,
) -> ReturnedFuture<T, O, S>
where
    T: Future,
    F: FnOnce() -> T,
    O: FnOnce(&mut Call, &T::Output),
    S: OutputSlot<T::Output>,
{
    let future = call.run(body);
    ReturnedFuture::new(call, future, finish, slot)
}

/// The same as [`run_async`], with an output that can be recorded only by the name of its type.
pub async fn run_async_opaque<F: Future>(mut call: Call, body: F) -> F::Output {
    let output = run_async(&mut call, body).await;
    if call.is_recorded() {
        probe::opaque(&output).__audited_record_output(&mut call);
    }
    // Blocks instead of awaiting, because the output need not be `Send`.
    call.wait();
    output
}
