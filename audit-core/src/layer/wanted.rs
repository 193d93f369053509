//! Which spans and events the layer asks for.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::{SPAN, TARGET, is_ending};
use crate::scope;

/// The most verbose level that any action wants; 0 is off, 5 is trace.
static WANTED: AtomicUsize = AtomicUsize::new(0);

/// Makes the layer want events of `level`.
pub(crate) fn want(level: LevelFilter) {
    let level = rank(level);
    if WANTED.fetch_max(level, Ordering::Relaxed) < level {
        tracing::callsite::rebuild_interest_cache();
    }
}

fn rank(level: LevelFilter) -> usize {
    match level {
        LevelFilter::OFF => 0,
        LevelFilter::ERROR => 1,
        LevelFilter::WARN => 2,
        LevelFilter::INFO => 3,
        LevelFilter::DEBUG => 4,
        _ => 5,
    }
}

pub(crate) fn wanted() -> LevelFilter {
    match WANTED.load(Ordering::Relaxed) {
        0 => LevelFilter::OFF,
        1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        4 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

/// The layer's filter: the spans of calls, events no more verbose than any action wants, and spans of that level that
/// the program makes within a call. Such a span may be carried into a task, and the call is found by it there.
pub(super) struct Wanted<S>(pub(super) PhantomData<fn(S)>);

impl<S> Filter<S> for Wanted<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, metadata: &Metadata<'_>, ctx: &Context<'_, S>) -> bool {
        if is_of_call(metadata) {
            return true;
        }
        *metadata.level() <= wanted()
            && (metadata.is_event() || !is_ending() && is_within_call(ctx))
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_of_call(metadata) {
            Interest::always()
        } else if *metadata.level() > wanted() {
            Interest::never()
        } else if metadata.is_event() {
            Interest::always()
        } else {
            Interest::sometimes()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Spans of calls are at level ERROR, so that few filters stop them.
        Some(wanted().max(LevelFilter::ERROR))
    }
}

/// Whether it is the span of a call.
pub(super) fn is_of_call(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == TARGET && metadata.name() == SPAN
}

/// Whether this thread is in a call, or in a span that was made in one.
fn is_within_call<S>(ctx: &Context<'_, S>) -> bool
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    scope::with(|scope| scope.call.is_some()) || ctx.lookup_current().is_some()
}
