//! A child that was created by `fork` inherits the recorder, but not its writer thread: nothing
//! that it records would ever be stored.
//!
//! So a recorder records only in the process that built it. A child records nothing until it
//! installs its own recorder.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use audit_record::Error;
use audit_record::process::{OwnerProcess, forks};

const TEXT: &str = "this process was forked from the one that built the recorder, so it records \
                    nothing: build a recorder in each process, after the fork";

/// The error of every operation on an inherited recorder.
pub(crate) fn forked_error() -> Error {
    Error::permanent(TEXT)
}

/// Warns once in every child that its calls are not recorded.
///
/// At the fork, another thread may have held any lock, such as that of standard error or one inside
/// the subscriber. In the child, such a lock is never released, and the call must not block on it.
/// So the line on standard error bypasses all locks. The subscriber is called on a separate thread,
/// which may block.
#[cold]
fn warn() {
    // It compares numbers, because a child of a child must warn again.
    static WARNED: AtomicU32 = AtomicU32::new(0);
    if WARNED.swap(forks(), Ordering::Relaxed) == forks() {
        return;
    }
    #[cfg(unix)]
    if let Ok(error) = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned() {
        use std::io::Write;
        let _ = std::fs::File::from(error).write_all(format!("audited: {TEXT}\n").as_bytes());
    }
    let _ = thread::Builder::new().name("audited-warning".to_owned()).spawn(|| {
        tracing::warn!(target: "audited", "{TEXT}");
    });
}

/// Whether the current process is `owner`. Warns if it is not.
#[inline]
pub(crate) fn is_owner_or_warn(owner: OwnerProcess) -> bool {
    owner.is_current() || {
        warn();
        false
    }
}
