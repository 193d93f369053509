//! [`init`]: the store, the recorder and the subscriber in one step.

use std::path::Path;

use crate::{Audit, Error, SqliteStore};

/// Opens or creates the SQLite file at `path`, installs the recorder for the process, and, if no tracing
/// subscriber is set, one that holds [`layer`](crate::layer()).
///
/// A program that sets a subscriber or a panic hook of its own does so first, the subscriber with [`layer`](crate::layer()) in it. Keep what is
/// returned until the program ends: dropped, it stores what is still waiting and closes the file.
///
/// A subscriber that is set later fails: `init` of `tracing_subscriber` panics with «a global default trace dispatcher
/// has already been set». One that is set before without the layer is told on standard error, for no record will have a
/// log.
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
