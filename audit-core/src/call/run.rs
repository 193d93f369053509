//! Runs the body of a function that is not `async`.

use std::any::type_name;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::Result;
use std::time::Instant;

use super::{Active, Call, RecordedFuture, panic, probe};
use crate::scope;

impl Call {
    /// Runs `body` as this call. A panic is recorded, and goes on with its payload.
    #[inline]
    pub fn run<R, F: FnOnce() -> R>(&mut self, body: F) -> R {
        match &mut self.0 {
            None => body(),
            Some(active) => match run_recorded(active, body) {
                Ok(value) => value,
                Err(payload) => self.panicked(payload),
            },
        }
    }

    /// Runs `body` as this call, up to its end or to its panic: what is watched can be looked at then, before
    /// [`ran`](Self::ran).
    #[inline]
    pub fn try_run<R, F: FnOnce() -> R>(&mut self, body: F) -> Result<R> {
        match &mut self.0 {
            None => Ok(body()),
            Some(active) => run_recorded(active, body),
        }
    }

    /// What the body returned. A panic is recorded, and goes on with its payload.
    #[inline]
    pub fn ran<R>(&mut self, ran: Result<R>) -> R {
        match ran {
            Ok(value) => value,
            Err(payload) => self.panicked(payload),
        }
    }

    /// Records a panic with `payload`, and lets it go on.
    #[cold]
    pub(crate) fn panicked(&mut self, payload: Box<dyn std::any::Any + Send>) -> ! {
        if let Some(active) = &self.0 {
            let (error, traceback) = panic::describe(&*payload, active.shared.started);
            self.end(crate::Outcome::Panic, Some(error), traceback);
        }
        resume_unwind(payload)
    }
}

fn run_recorded<R, F: FnOnce() -> R>(active: &mut Active, body: F) -> Result<R> {
    active.named(type_name::<F>());
    let result = {
        let _scope = scope::enter(active.scope());
        let _span = active.span.enter();
        catch_unwind(AssertUnwindSafe(body))
    };
    active.ended = Some(Instant::now());
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
/// `finish` records the future's output.
#[inline]
pub fn run_future<T, F, O>(mut call: Call, body: F, finish: O) -> RecordedFuture<T, O>
where
    T: Future,
    F: FnOnce() -> T,
    O: FnOnce(&mut Call, &T::Output),
{
    let future = call.run(body);
    RecordedFuture::new(call, future, finish)
}
