//! Polls the body of an `async fn`, or a future that a function returned, as a call.
//!
//! The call is entered for each poll, and while an incomplete body is dropped.

use std::any::type_name;
use std::future::Future;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::Result;
use std::time::Instant;

use pin_project_lite::pin_project;
use tracing::Span;

use crate::call::input::Input;
use crate::call::lifecycle::{Call, RunningCall, begin_call};
use crate::call::wait::OutputSlot;
use crate::call_site::CallSite;
use crate::scope::{self, Entered};

/// Polls `body` as `call`. A panic is recorded here; the caller records any other outcome, and
/// waits for the record.
#[inline]
pub fn run_async<F: Future>(call: &mut Call, body: F) -> BodyFuture<'_, F> {
    if let Some(running) = call.running_mut() {
        running.set_method(type_name::<F>());
        running.waits_later = true;
    }
    BodyFuture { body, drop_scope: DropScope(None), call }
}

pin_project! {
    /// The body of an `async fn`, polled as a call, from [`run_async`].
    ///
    /// The body is a direct field. Each further wrapper type would count against the compiler's
    /// recursion limit, in every `async fn` around this one.
    pub struct BodyFuture<'c, F> {
        #[pin]
        body: F,
        // Fields are dropped in order, so this one is dropped after the body.
        drop_scope: DropScope,
        call: &'c mut Call,
    }

    impl<F> PinnedDrop for BodyFuture<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.drop_scope.enter(this.call);
        }
    }
}

/// [`Call`] is unwind safe, so the body decides.
impl<F: UnwindSafe> UnwindSafe for BodyFuture<'_, F> {}
impl<F: RefUnwindSafe> RefUnwindSafe for BodyFuture<'_, F> {}

impl<F: Future> Future for BodyFuture<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        poll_inside(this.call, this.body, Input::NONE, cx)
    }
}

/// Polls `body` as `call`, and catches a panic. Watched objects are compared afterwards, before
/// [`Call::unwrap_or_resume`].
#[inline]
pub fn try_run_async<F: Future>(call: &mut Call, body: F) -> TriedBodyFuture<'_, F> {
    if let Some(running) = call.running_mut() {
        running.set_method(type_name::<F>());
        running.waits_later = true;
    }
    TriedBodyFuture { body, drop_scope: DropScope(None), call }
}

pin_project! {
    /// The body of an `async fn` that watches objects, from [`try_run_async`].
    ///
    /// Neither this type nor [`BodyFuture`] wraps the other one, because of the recursion limit.
    pub struct TriedBodyFuture<'c, F> {
        #[pin]
        body: F,
        // Fields are dropped in order, so this one is dropped after the body.
        drop_scope: DropScope,
        call: &'c mut Call,
    }

    impl<F> PinnedDrop for TriedBodyFuture<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.drop_scope.enter(this.call);
        }
    }
}

/// The same holds for [`BodyFuture`].
impl<F: UnwindSafe> UnwindSafe for TriedBodyFuture<'_, F> {}
impl<F: RefUnwindSafe> RefUnwindSafe for TriedBodyFuture<'_, F> {}

impl<F: Future> Future for TriedBodyFuture<'_, F> {
    type Output = Result<F::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.call.running_mut() {
            None => this.body.poll(cx).map(Ok),
            Some(running) => match poll_recorded(running, this.body, Input::NONE, cx) {
                Ok(poll) => poll.map(Ok),
                Err(payload) => Poll::Ready(Err(payload)),
            },
        }
    }
}

/// Polls `body`, the body of an `async fn`, as a call of the function at `site`. The call begins with
/// the first poll.
///
/// `body` begins with [`Input::of_body`]. `finish` records its output, and `slot` keeps the output
/// while the future awaits the record.
#[inline]
pub fn run_async_fn<F, O, S>(
    site: &'static CallSite,
    body: F,
    finish: O,
    slot: S,
) -> ReturnedFuture<F, O, S>
where
    F: Future,
    O: FnOnce(&mut Call, &F::Output),
    S: OutputSlot<F::Output>,
{
    ReturnedFuture {
        body,
        drop_scope: DropScope(None),
        call: Call::NONE,
        not_begun: Some(site),
        finish: Some(finish),
        slot,
    }
}

pin_project! {
    /// A future that an audited function returned, or the body of an `async fn`. The call ends when
    /// the future completes.
    ///
    /// It leaves no record if it is dropped before its first poll. The body is a direct field: each
    /// further layer would count against the compiler's recursion limit, in every `async fn` around
    /// this one.
    pub struct ReturnedFuture<F, O, S> {
        #[pin]
        body: F,
        // Fields are dropped in order: the body, this one, and then the call, which ends.
        drop_scope: DropScope,
        call: Call,
        // Set until the first poll, if the call begins then.
        not_begun: Option<&'static CallSite>,
        finish: Option<O>,
        // Keeps the output while the future awaits the record.
        slot: S,
    }

    impl<F, O, S> PinnedDrop for ReturnedFuture<F, O, S> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.drop_scope.enter(this.call);
        }
    }
}

impl<F, O, S> ReturnedFuture<F, O, S> {
    pub(super) fn new(mut call: Call, body: F, finish: O, slot: S) -> Self {
        if let Some(running) = call.running_mut() {
            running.has_begun = false;
            running.ended = None;
            running.waits_later = true;
        }
        Self {
            body,
            drop_scope: DropScope(None),
            call,
            not_begun: None,
            finish: Some(finish),
            slot,
        }
    }
}

impl<F, O, S> Future for ReturnedFuture<F, O, S>
where
    F: Future,
    O: FnOnce(&mut Call, &F::Output),
    S: OutputSlot<F::Output>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut input = Input::NONE;
        if let Some(site) = this.not_begun.take() {
            *this.call = begin_call(site);
            if let Some(running) = this.call.running_mut() {
                running.set_method(type_name::<F>());
                running.waits_later = true;
                input = this.call.input();
            }
        }
        let output = match this.slot.take() {
            Some(output) => output,
            None => {
                let output = std::task::ready!(poll_inside(this.call, this.body, input, cx));
                if this.call.is_recorded()
                    && let Some(finish) = this.finish.take()
                {
                    finish(this.call, &output);
                }
                output
            }
        };
        if !S::IS_AVAILABLE {
            this.call.wait();
        } else if this.call.poll_stored(cx).is_pending() {
            this.slot.put(output);
            return Poll::Pending;
        }
        Poll::Ready(output)
    }
}

#[inline]
fn poll_inside<F: Future>(
    call: &mut Call,
    body: Pin<&mut F>,
    input: Input,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    match call.running_mut() {
        None => body.poll(cx),
        Some(running) => match poll_recorded(running, body, input, cx) {
            Ok(poll) => poll,
            Err(payload) => call.take().panicked(payload),
        },
    }
}

/// `input` is for the body, in its first poll.
fn poll_recorded<F: Future>(
    running: &mut RunningCall,
    body: Pin<&mut F>,
    input: Input,
    cx: &mut Context<'_>,
) -> Result<Poll<F::Output>> {
    running.has_begun = true;
    let result = {
        let _scope = scope::enter(running.scope());
        let _span = running.span.enter();
        catch_unwind(AssertUnwindSafe(|| {
            let _handed = input.hand_to_body();
            body.poll(cx)
        }))
    };
    if !matches!(result, Ok(Poll::Pending)) {
        running.ended = Some(Instant::now());
    }
    result
}

/// Keeps the call entered while its body is dropped before it is ready: what the body drops then
/// belongs to the call. A body that is ready has nothing left to drop.
///
/// It is a field instead of a guard in `drop`, because a struct's fields are dropped after its
/// `drop`.
struct DropScope(Option<Box<(Entered, Span)>>);

/// Empty except while the future is dropped.
impl UnwindSafe for DropScope {}
impl RefUnwindSafe for DropScope {}

impl DropScope {
    fn enter(&mut self, call: &Call) {
        if let Some(running) = call.running()
            && running.has_begun
            && running.ended.is_none()
        {
            let entered = scope::enter(running.scope());
            running.span.with_subscriber(|(id, subscriber)| subscriber.enter(id));
            self.0 = Some(Box::new((entered, running.span.clone())));
        }
    }
}

impl Drop for DropScope {
    fn drop(&mut self) {
        if let Some((_, span)) = self.0.as_deref() {
            span.with_subscriber(|(id, subscriber)| subscriber.exit(id));
        }
    }
}
