//! Runs the body of a function that is not `async`.

use std::any::type_name;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::Result;
use std::time::Instant;

use crate::call::future::{RecordedFuture, run_async};
use crate::call::lifecycle::{Call, Stage};
use crate::call::wait::Room;
use crate::call::{panic, probe};
use crate::scope;

impl Call {
    /// Runs `body` as this call. A panic is recorded, and goes on with its payload.
    #[inline]
    pub fn run<R, F: FnOnce() -> R>(&mut self, body: F) -> R {
        match self.0.as_deref_mut() {
            None => body(),
            Some(stage) => match run_recorded(stage, body) {
                Ok(value) => value,
                Err(payload) => self.take().panicked(payload),
            },
        }
    }

    /// Runs `body` as this call, up to its end or to its panic: what is watched can be looked at then, before
    /// [`ran`](Self::ran).
    #[inline]
    pub fn try_run<R, F: FnOnce() -> R>(&mut self, body: F) -> Result<R> {
        match self.0.as_deref_mut() {
            None => Ok(body()),
            Some(stage) => run_recorded(stage, body),
        }
    }

    /// What the body returned. A panic is recorded, and goes on with its payload.
    #[inline]
    pub fn ran<R>(&mut self, ran: Result<R>) -> R {
        match ran {
            Ok(value) => value,
            Err(payload) => self.take().panicked(payload),
        }
    }

    /// Records a panic with `payload`, and lets it go on.
    #[cold]
    pub(crate) fn panicked(mut self, payload: Box<dyn std::any::Any + Send>) -> ! {
        if let Some(active) = self.running() {
            let (error, traceback) = panic::describe(&*payload, active.shared.started);
            self.end(audit_record::Outcome::Panic, Some(error), traceback);
            // Also of a future: unwinding can't await.
            self.wait();
        }
        resume_unwind(payload)
    }
}

fn run_recorded<R, F: FnOnce() -> R>(stage: &mut Stage, body: F) -> Result<R> {
    let mut active = stage.running_mut();
    if let Some(active) = &mut active {
        active.named(type_name::<F>());
    }
    let result = {
        let _scope = active.as_ref().map(|active| scope::enter(active.scope()));
        let _span = active.as_ref().map(|active| active.span.enter());
        catch_unwind(AssertUnwindSafe(body))
    };
    if let Some(active) = active {
        active.ended = Some(Instant::now());
    }
    result
}

/// Runs a body whose value can only be recorded by the name of its type.
#[inline]
pub fn run_opaque<R, F: FnOnce() -> R>(mut call: Call, body: F) -> R {
    let value = call.run(body);
    if call.is_recorded() {
        probe::opaque(&value).record_output(&mut call);
    }
    value
}

/// Runs a body that returns a future; the call goes on until that future is done.
///
/// `finish` records the future's output, which is kept in `room` while it waits for its record.
#[inline]
pub fn run_future<T, F, O, H>(
    mut call: Call,
    body: F,
    finish: O,
    room: H,
) -> RecordedFuture<T, O, H>
where
    T: Future,
    F: FnOnce() -> T,
    O: FnOnce(&mut Call, &T::Output),
    H: Room<T::Output>,
{
    let future = call.run(body);
    RecordedFuture::new(call, future, finish, room)
}

/// [`run_async`], with an output that can only be recorded by the name of its type.
pub async fn run_async_opaque<F: Future>(mut call: Call, body: F) -> F::Output {
    let output = run_async(&mut call, body).await;
    if call.is_recorded() {
        probe::opaque(&output).record_output(&mut call);
    }
    // Not awaited: the output need not be `Send`.
    call.wait();
    output
}
