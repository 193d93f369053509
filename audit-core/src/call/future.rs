//! Polls the body of an `async fn`, or a future that a function returned, as a call.

use std::any::type_name;
use std::future::Future;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::Result;
use std::time::Instant;

use pin_project_lite::pin_project;
use tracing::Span;

use crate::call::lifecycle::{Active, Call};
use crate::call::wait::Room;
use crate::scope::{self, Entered};

/// Polls `body` as `call`. The caller records the outcome, and waits for the record; a panic is recorded here.
#[inline]
pub fn run_async<F: Future>(call: &mut Call, body: F) -> Recorded<'_, F> {
    if let Some(active) = call.running_mut() {
        active.named(type_name::<F>());
        active.waits_later = true;
    }
    Recorded { body, dropping: Dropping(None), call }
}

pin_project! {
    /// The body of an `async fn`, polled as a call: see [`run_async`].
    ///
    /// The body is a field as it is, in no wrapper: each layer of types that a future has counts against the
    /// compiler's recursion limit, in every `async fn` around it.
    pub struct Recorded<'c, F> {
        #[pin]
        body: F,
        // Dropped after the body.
        dropping: Dropping,
        call: &'c mut Call,
    }

    impl<F> PinnedDrop for Recorded<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.dropping.begin(this.call);
        }
    }
}

/// The borrowed call tolerates unwinding, see there; so it is the body that decides.
impl<F: UnwindSafe> UnwindSafe for Recorded<'_, F> {}
impl<F: RefUnwindSafe> RefUnwindSafe for Recorded<'_, F> {}

impl<F: Future> Future for Recorded<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        poll_inside(this.call, this.body, cx)
    }
}

/// Polls `body` as `call`, up to its end or to its panic: what is watched can be looked at then, before
/// [`Call::ran`].
#[inline]
pub fn try_run_async<F: Future>(call: &mut Call, body: F) -> Tried<'_, F> {
    if let Some(active) = call.running_mut() {
        active.named(type_name::<F>());
        active.waits_later = true;
    }
    Tried { body, dropping: Dropping(None), call }
}

pin_project! {
    /// The body of an `async fn` that watches objects: see [`try_run_async`]. No wrapper of [`Recorded`], nor
    /// the other way round, for the same reason as there.
    pub struct Tried<'c, F> {
        #[pin]
        body: F,
        // Dropped after the body.
        dropping: Dropping,
        call: &'c mut Call,
    }

    impl<F> PinnedDrop for Tried<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.dropping.begin(this.call);
        }
    }
}

/// As for [`Recorded`].
impl<F: UnwindSafe> UnwindSafe for Tried<'_, F> {}
impl<F: RefUnwindSafe> RefUnwindSafe for Tried<'_, F> {}

impl<F: Future> Future for Tried<'_, F> {
    type Output = Result<F::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.call.running_mut() {
            None => this.body.poll(cx).map(Ok),
            Some(active) => match poll_recorded(active, this.body, cx) {
                Ok(poll) => poll.map(Ok),
                Err(payload) => Poll::Ready(Err(payload)),
            },
        }
    }
}

pin_project! {
    /// A future that an audited function returned: the call ends when it is done.
    ///
    /// It leaves no record if it is dropped before it was polled.
    pub struct RecordedFuture<F, O, H> {
        #[pin]
        body: F,
        // Dropped after the body, and before the call, which then ends.
        dropping: Dropping,
        call: Call,
        finish: Option<O>,
        // Holds the output while its record is waited for.
        room: H,
    }

    impl<F, O, H> PinnedDrop for RecordedFuture<F, O, H> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.dropping.begin(this.call);
        }
    }
}

impl<F, O, H> RecordedFuture<F, O, H> {
    pub(crate) fn new(mut call: Call, body: F, finish: O, room: H) -> Self {
        if let Some(active) = call.running_mut() {
            active.begun = false;
            active.ended = None;
            active.waits_later = true;
        }
        Self { body, dropping: Dropping(None), call, finish: Some(finish), room }
    }
}

impl<F, O, H> Future for RecordedFuture<F, O, H>
where
    F: Future,
    O: FnOnce(&mut Call, &F::Output),
    H: Room<F::Output>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Some(active) = this.call.running_mut() {
            active.begun = true;
        }
        let output = match this.room.take() {
            Some(output) => output,
            None => {
                let output = std::task::ready!(poll_inside(this.call, this.body, cx));
                if let Some(finish) = this.finish.take() {
                    finish(this.call, &output);
                }
                output
            }
        };
        if !H::IS_THERE {
            this.call.wait();
        } else if this.call.poll_stored(cx).is_pending() {
            this.room.put(output);
            return Poll::Pending;
        }
        Poll::Ready(output)
    }
}

#[inline]
fn poll_inside<F: Future>(
    call: &mut Call,
    body: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    match call.running_mut() {
        None => body.poll(cx),
        Some(active) => match poll_recorded(active, body, cx) {
            Ok(poll) => poll,
            Err(payload) => call.take().panicked(payload),
        },
    }
}

fn poll_recorded<F: Future>(
    active: &mut Active,
    body: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Result<Poll<F::Output>> {
    let result = {
        let _scope = scope::enter(active.scope());
        let _span = active.span.enter();
        catch_unwind(AssertUnwindSafe(|| body.poll(cx)))
    };
    if !matches!(result, Ok(Poll::Pending)) {
        active.ended = Some(Instant::now());
    }
    result
}

/// What a body drops when it is dropped early still belongs to the call: from `begin` to its own drop, the
/// call is entered. A body that is dropped after it is done has nothing left to drop.
///
/// Not a guard on the stack, for the body is dropped as a field, after the drop of the struct around it.
struct Dropping(Option<Box<(Entered, Span)>>);

/// Empty but while the future is dropped.
impl UnwindSafe for Dropping {}
impl RefUnwindSafe for Dropping {}

impl Dropping {
    fn begin(&mut self, call: &Call) {
        if let Some(active) = call.running()
            && active.begun
            && active.ended.is_none()
        {
            let entered = scope::enter(active.scope());
            active.span.with_subscriber(|(id, subscriber)| subscriber.enter(id));
            self.0 = Some(Box::new((entered, active.span.clone())));
        }
    }
}

impl Drop for Dropping {
    fn drop(&mut self) {
        if let Some((_, span)) = self.0.as_deref() {
            span.with_subscriber(|(id, subscriber)| subscriber.exit(id));
        }
    }
}
