//! The per-layer filter of [`layer`](crate::layer()): which spans and events the layer sees.

use std::marker::PhantomData;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use crate::events::call_span::{is_call_span, is_thread_ending};
use crate::levels::max_level;
use crate::scope;

/// Enables the spans of calls, and events up to the most verbose level that any action records. It
/// also enables spans up to that level that the program creates in a call. A task may carry such a
/// span, and its events then find the call by it.
pub(super) struct CallFilter<S>(pub(super) PhantomData<fn(S)>);

impl<S> Filter<S> for CallFilter<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, metadata: &Metadata<'_>, ctx: &Context<'_, S>) -> bool {
        if is_call_span(metadata) {
            return true;
        }
        *metadata.level() <= max_level()
            && (metadata.is_event() || !is_thread_ending() && is_in_call(ctx))
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_call_span(metadata) {
            Interest::always()
        } else if *metadata.level() > max_level() {
            Interest::never()
        } else if metadata.is_event() {
            Interest::always()
        } else {
            Interest::sometimes()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // The spans of calls have the level ERROR, so that few filters disable them.
        Some(max_level().max(LevelFilter::ERROR))
    }
}

/// Whether this thread is in a call, or in a span that was created in a call.
fn is_in_call<S>(ctx: &Context<'_, S>) -> bool
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    scope::with(|scope| scope.call.is_some()) || ctx.lookup_current().is_some()
}
