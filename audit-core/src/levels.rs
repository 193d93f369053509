//! The most verbose level of events that the log of any action needs.
//!
//! Recorders and call sites raise it. The tracing layer and subscriber read it to skip all events
//! that are more verbose.

use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::level_filters::LevelFilter;

/// The level as a number: 0 is off, 5 is trace.
static MAX_LEVEL: AtomicUsize = AtomicUsize::new(0);

/// Includes events of `level`, and all less verbose ones.
pub(crate) fn raise_max_level(level: LevelFilter) {
    let level = verbosity(level);
    if MAX_LEVEL.fetch_max(level, Ordering::Relaxed) < level {
        tracing::callsite::rebuild_interest_cache();
    }
}

fn verbosity(level: LevelFilter) -> usize {
    match level {
        LevelFilter::OFF => 0,
        LevelFilter::ERROR => 1,
        LevelFilter::WARN => 2,
        LevelFilter::INFO => 3,
        LevelFilter::DEBUG => 4,
        _ => 5,
    }
}

pub(crate) fn max_level() -> LevelFilter {
    match MAX_LEVEL.load(Ordering::Relaxed) {
        0 => LevelFilter::OFF,
        1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        4 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}
