//! Admission of calls with `on_audit_failure = "refuse"`: the body runs only if the intent is
//! stored.
//!
//! After its arguments are captured, such a call passes its intent to the recorder: a record of
//! what is known so far. It waits until the intent is stored, and only then runs its body. The
//! record that it makes at its end has the same id and closes the intent.

use std::any::type_name;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use audit_record::{Durability, Error};

use crate::busy::mark_busy;
use crate::call::input::Input;
use crate::current;
use crate::in_flight::CallShared;
use crate::recorder::{self, Receipt};
use crate::refused::Refused;

impl Input {
    /// Finishes the input, and waits on this thread until the call's intent is stored. The type of
    /// `_place`, a closure in the function's body, has the function's path as its name.
    ///
    /// # Errors
    ///
    /// If the intent cannot be stored. Then the body must not run.
    pub fn admit<P>(self, _place: P) -> Result<(), Refused> {
        let Some(QueuedIntent { wait, receipt }) = self.queue_intent(type_name::<P>())? else {
            return Ok(());
        };
        receipt.wait().map_err(|error| refused(&wait.call, &error))
    }

    /// The same as [`admit`](Self::admit), without blocking the thread.
    pub fn admit_async<P>(self, _place: P) -> Admission {
        match self.queue_intent(type_name::<P>()) {
            Ok(Some(intent)) => Admission::Waiting(intent),
            Ok(None) => Admission::Done(Ok(())),
            Err(refused) => Admission::Done(Err(refused)),
        }
    }

    /// Returns `None` if the recorder keeps its records in memory: it stores no intents.
    fn queue_intent(mut self, body: &'static str) -> Result<Option<QueuedIntent>, Refused> {
        let Some((call, Some(site))) = self.hand_over() else {
            return Err(Refused::new(why_not_recorded()));
        };
        let since = Instant::now();
        let queued = {
            // Created first, so that everything is freed before it ends: an audited allocator must
            // not be recorded here.
            let _busy = mark_busy();
            let level = site.durability_level().unwrap_or_else(|| call.recorder.durability());
            let intent = Box::new(call.intent(site.method(body)));
            call.recorder.offer_intent(intent, level.max(Durability::Process))
        };
        match queued {
            Ok(receipt) => {
                Ok(receipt
                    .map(|receipt| QueuedIntent { wait: IntentWait { call, since }, receipt }))
            }
            Err(error) => Err(refused(&call, &error)),
        }
    }
}

/// An intent in the queue of the recorder, and the call that waits for it.
pub struct QueuedIntent {
    receipt: Receipt,
    wait: IntentWait,
}

/// Measures how long a call waits for its intent, until the intent is stored or the call gives up.
struct IntentWait {
    call: Arc<CallShared>,
    since: Instant,
}

impl Drop for IntentWait {
    fn drop(&mut self) {
        let micros = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.call.while_running(|state| state.annotations().wait_us = Some(micros));
    }
}

/// A future that completes when the intent of a call is stored, or when the call is refused.
pub enum Admission {
    /// The intent is in the queue.
    Waiting(QueuedIntent),
    /// The result is known.
    Done(Result<(), Refused>),
}

/// The same holds for [`Call`](crate::call::Call).
impl UnwindSafe for Admission {}
impl RefUnwindSafe for Admission {}

impl Future for Admission {
    type Output = Result<(), Refused>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Self::Waiting(QueuedIntent { wait, receipt }) = this {
            let answer = ready!(Pin::new(receipt).poll(cx));
            let result = answer.map_err(|error| refused(&wait.call, &error));
            *this = Self::Done(result);
        }
        match this {
            Self::Done(result) => Poll::Ready(result.clone()),
            Self::Waiting(_) => Poll::Pending,
        }
    }
}

/// The error of a call whose intent the store, or the queue in front of it, has not accepted.
#[cold]
fn refused(call: &CallShared, error: &Error) -> Refused {
    call.state().refused = true;
    Refused::new(error.to_string())
}

/// Why a call is not recorded at all here, and what to do.
#[cold]
fn why_not_recorded() -> &'static str {
    if mark_busy().is_none() {
        "the call was made by code that the audit itself runs on this thread, such as a store, and \
         nothing is recorded there; make the call on another thread"
    } else if current::recorder().is_some() && !recorder::is_any_active() {
        "the recorder is closed; keep its handle until the last call"
    } else if current::recorder().is_some() {
        "the recorder skips this action; remove it from `AuditBuilder::skip_actions`, and do not \
         set `AuditBuilder::capture` to `CaptureLevel::None`"
    } else if current::is_switched_off() {
        "recording is disabled; call `Audit::set_enabled(true)`"
    } else {
        "this process has no active recorder; install one with `audited::init` and keep its handle \
         until the last call; a forked child needs its own; in tests, use \
         `audited::testing::capture`"
    }
}
