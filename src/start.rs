//! [`init`]: opens the store, and installs the recorder and the subscriber, in one step.

use std::path::Path;

use crate::{Audit, Error, SqliteStore};

/// Opens or creates the SQLite file at `path` and installs the recorder for the process. If no
/// tracing subscriber is set, it also sets one that captures the events of calls.
///
/// If the program has its own subscriber or panic hook, set them first, and put
/// [`layer`](crate::layer()) into the subscriber. Keep the returned guard alive until the program
/// ends: dropping it flushes the queue and closes the file.
///
/// # The subscriber
///
/// Only one subscriber can be set. After `init` has set one, `init` of `tracing_subscriber` panics
/// with "a global default trace dispatcher has already been set". If the program has set a
/// subscriber without the layer, records have no log, and `init` writes a warning to standard
/// error.
///
/// Records of the crate `log` are captured, too, unless the program has a logger. The first audited
/// call decides that, so the program can set its logger before or after `init`. After that call,
/// `env_logger::init` and similar functions fail with "a logger has been set".
///
/// The subscriber of `init` writes warnings of the recorder to standard error, and nothing else. It
/// creates no spans, which makes a call cheaper than with the layer. An event goes into the log of
/// the innermost call around it. This also works inside spans of the program. It works in other
/// tasks and threads, too, if they carry `Span::current()` of the call (`.in_current_span()`) or a
/// span that was created in it. A span that is created in a call with `parent: None` keeps the
/// events in it out of all logs. Otherwise, spans of the program have no effect:
///
/// - Their names and fields are not kept. Fields of events are.
/// - `Span::current()` in a call is the span of the call, with name `call` and target `audited`,
///   even inside spans of the program. Its `id()` is that of the call, and so is the `id()` of a
///   span that was created in the call.
/// - The subscriber is not a `tracing_subscriber::Registry`. Code that gets one by `downcast_ref`,
///   or that extends spans, finds none. `OpenTelemetrySpanExt` of `tracing-opentelemetry` does
///   nothing, and `tracing_error::SpanTrace` stays empty.
///
/// If the program needs any of this, or wants its events on a terminal as well, it sets its own
/// registry:
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
/// When the file can't be opened or is not an audit trail; the message names the path and says what
/// to do. Also when a recorder is already installed.
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
#[must_use = "bind it to a variable, `let _audit = audited::init(…)?`: dropping it stops recording"]
pub fn init(path: impl AsRef<Path>) -> Result<Audit, Error> {
    let store = SqliteStore::open(path)?;
    audit_core::subscribe_if_none();
    Audit::builder().store(store).install()
}
