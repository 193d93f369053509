//! Calls that are made only if they can be put on the record first: `on_audit_failure = "refuse"`.
//!
//! Between its arguments and its body, such a call hands over what is known of it, its intent, and waits until
//! that is stored. The record that it makes when it ends has the same id, and closes the intent.

use std::any::type_name;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use audit_record::{Durability, Error};

use crate::busy::busy;
use crate::call::input::Input;
use crate::current;
use crate::in_flight::CallShared;
use crate::recorder::{self, Receipt};
use crate::refused::Refused;

impl Input {
    /// Hands over what was gathered, and waits on this thread until the call's intent is stored. The type of
    /// `_place`, a closure that stands in the body, tells the function's path.
    ///
    /// # Errors
    ///
    /// When it can't be stored: the body must not run.
    pub fn admit<P>(self, _place: P) -> Result<(), Refused> {
        let Some(Asked { call, receipt }) = self.ask(type_name::<P>())? else { return Ok(()) };
        receipt.wait().map_err(|error| refused(&call, &error))
    }

    /// As [`admit`](Self::admit), without blocking the thread.
    pub fn admit_async<P>(self, _place: P) -> Admission {
        match self.ask(type_name::<P>()) {
            Ok(Some(asked)) => Admission::Asked(asked),
            Ok(None) => Admission::Known(Ok(())),
            Err(refused) => Admission::Known(Err(refused)),
        }
    }

    /// `None` where no intents are kept, because records stay in memory.
    fn ask(mut self, body: &'static str) -> Result<Option<Asked>, Refused> {
        let Some((call, Some(site))) = self.hand_over() else {
            return Err(Refused::new(why_not_recorded()));
        };
        let asked = {
            // First, so that all of it is freed before this ends: an audited allocator must not come back here.
            let _busy = busy();
            let level = site.durability_level().unwrap_or_else(|| call.recorder.durability());
            let intent = Box::new(call.intent(site.method(body)));
            call.recorder.intend(intent, level.max(Durability::Process))
        };
        match asked {
            Ok(receipt) => Ok(receipt.map(|receipt| Asked { call, receipt })),
            Err(error) => Err(refused(&call, &error)),
        }
    }
}

/// An intent that is queued.
pub struct Asked {
    call: Arc<CallShared>,
    receipt: Receipt,
}

/// Waits until the intent of a call is stored.
pub enum Admission {
    /// It is not known yet.
    Asked(Asked),
    /// It need not be waited for.
    Known(Result<(), Refused>),
}

/// As the call itself.
impl UnwindSafe for Admission {}
impl RefUnwindSafe for Admission {}

impl Future for Admission {
    type Output = Result<(), Refused>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Self::Asked(Asked { call, receipt }) = this {
            let answer = ready!(Pin::new(receipt).poll(cx));
            *this = Self::Known(answer.map_err(|error| refused(call, &error)));
        }
        match this {
            Self::Known(known) => Poll::Ready(known.clone()),
            Self::Asked(_) => Poll::Pending,
        }
    }
}

/// The store, or the queue before it, has not taken the intent.
#[cold]
fn refused(call: &CallShared, error: &Error) -> Refused {
    call.state().refused = true;
    Refused::new(format!("the store has not confirmed its intent: {error}"))
}

/// Why a call at this place is not recorded at all, and what to do.
#[cold]
fn why_not_recorded() -> &'static str {
    if busy().is_none() {
        "it was called while the audit itself is at work on this thread, by a store for one, and nothing is recorded \
         there: make the call elsewhere"
    } else if current::recorder().is_some() && !recorder::is_any_active() {
        "the recorder is closed: keep its handle until the last call"
    } else if current::recorder().is_some() {
        "the recorder leaves this action out: take it off `skip_actions`, and let `AuditBuilder::capture` not be \
         `CaptureLevel::None`"
    } else if current::is_switched_off() {
        "recording is switched off: call `Audit::set_enabled(true)`"
    } else {
        "no recorder is at work in this process: install one (`audited::init`) and keep its handle until the last call, \
         in a forked child one of its own; in tests, use `audited::testing::capture`"
    }
}
