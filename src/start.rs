//! [`init`]: the store, the recorder and the subscriber in one step.

use std::path::Path;

use crate::{Audit, Error, SqliteStore};

/// Opens or creates the SQLite file at `path`, installs the recorder for the process, and, if no tracing
/// subscriber is set, one that takes the events of calls.
///
/// A program that sets a subscriber or a panic hook of its own does so first, the subscriber with [`layer`](crate::layer()) in it. Keep what is
/// returned until the program ends: dropped, it stores what is still waiting and closes the file.
///
/// # The subscriber
///
/// A subscriber that is set later fails: `init` of `tracing_subscriber` panics with «a global default trace dispatcher
/// has already been set». One that is set before without the layer is told on standard error, for no record will have a
/// log.
///
/// The one that `init` sets writes what the recorder warns of to standard error, and nothing else anywhere else. It makes no
/// spans: it costs a call less than the layer does.
/// Events land in the log of the innermost call around them: also within spans of the program, and also in tasks and
/// threads that carry `Span::current()` of the call (`.in_current_span()`) or a span that was made in it. But a span of
/// the program is nothing more than that here:
///
/// - Its name and fields are kept nowhere; fields of events are.
/// - `Span::current()` in a call is the call's own span, `call` with target `audited`, whatever spans of the program are
///   around; its `id()`, and that of a span made in the call, is the call's.
/// - It is no `tracing_subscriber::Registry`: what looks one up by `downcast_ref`, or extends spans, finds none.
///   `OpenTelemetrySpanExt` of `tracing-opentelemetry` does nothing, and `tracing_error::SpanTrace` stays empty.
///
/// A program that needs any of this, or wants its events on a terminal as well, sets a registry of its own:
///
/// ```no_run
/// use tracing_subscriber::prelude::*;
///
/// tracing_subscriber::registry()
///     .with(tracing_subscriber::fmt::layer())
///     .with(audited::layer())
///     .init();
/// let audit = audited::init("audit.db")?;
/// # Ok::<(), audited::Error>(())
/// ```
///
/// # Errors
///
/// When the file can't be opened or is no audit trail (the message names the path and says what to do), or a
/// recorder is installed already.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("audit.db");
/// #[audited::audit_method(action = "greet")]
/// fn greet(name: &str) -> String {
///     tracing::info!("greeting");
///     format!("Hello, {name}!")
/// }
///
/// let audit = audited::init(&path)?;
/// greet("world");
/// audit.flush()?; // everything recorded so far is in the file
/// assert_eq!(audit.counters().written, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "bind it, `let _audit = audited::init(…)?`, until the program ends: dropped at once, it stops recording"]
pub fn init(path: impl AsRef<Path>) -> Result<Audit, Error> {
    let store = SqliteStore::open(path)?;
    audit_core::subscribe_if_none();
    Audit::builder().store(store).install()
}
