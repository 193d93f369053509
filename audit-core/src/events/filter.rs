//! Which spans and events the layer asks for.

use std::marker::PhantomData;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use crate::events::names::{SPAN, TARGET};
use crate::events::thread_end::is_ending;
use crate::levels::wanted;
use crate::scope;

/// The layer's filter: the spans of calls, events no more verbose than any action wants, and spans of that level that
/// the program makes within a call. Such a span may be carried into a task, and the call is found by it there.
pub(crate) struct Wanted<S>(pub(crate) PhantomData<fn(S)>);

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
pub(crate) fn is_of_call(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == TARGET && metadata.name() == SPAN
}

/// Whether this thread is in a call, or in a span that was made in one.
fn is_within_call<S>(ctx: &Context<'_, S>) -> bool
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    scope::with(|scope| scope.call.is_some()) || ctx.lookup_current().is_some()
}
