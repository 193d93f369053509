//! The most verbose level of events that the log of any action needs.
//!
//! Recorders and call sites raise it. The tracing layer and subscriber read it to skip all events
//! that are more verbose.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tracing::level_filters::LevelFilter;
use tracing_log::AsLog as _;

/// The level as a number: 0 is off, 5 is trace.
static MAX_LEVEL: AtomicUsize = AtomicUsize::new(0);

/// Includes events of `level`, and all less verbose ones.
pub(crate) fn raise_max_level(level: LevelFilter) {
    let level = verbosity(level);
    if MAX_LEVEL.fetch_max(level, Ordering::Relaxed) < level {
        tracing::callsite::rebuild_interest_cache();
        if LIMITS_LOG_RECORDS.load(Ordering::SeqCst) {
            limit_log_records();
        }
    }
}

/// Whether the level also applies to the macros of the `log` crate.
static LIMITS_LOG_RECORDS: AtomicBool = AtomicBool::new(false);

/// Makes the macros of the `log` crate skip all records that no log needs, from now on.
pub(crate) fn limit_log_records() {
    LIMITS_LOG_RECORDS.store(true, Ordering::SeqCst);
    tracing_log::log::set_max_level(max_level().as_log());
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
