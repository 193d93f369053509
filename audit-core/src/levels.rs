//! The most verbose level of events that any action wants.

use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::level_filters::LevelFilter;

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
