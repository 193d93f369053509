//! A child made by `fork` inherits the recorder, but not its writer thread: nothing it recorded would ever be stored.
//!
//! So only the process that has built a recorder records. In the child there is none, until it installs its own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use audit_record::Error;
use audit_record::process::{Home, forks};

const TEXT: &str = "this process was forked from the one that built the recorder, so it records nothing: build a \
                    recorder in each process, after the fork";

pub(crate) fn error() -> Error {
    Error::permanent(TEXT)
}

/// Says once in every child that its calls are not recorded.
///
/// Another thread may have held any lock at the fork, and then nobody ever gives it back here; the lock of standard
/// error, or one in the subscriber. The call must not hang for that. So the line on standard error goes out past all
/// locks, and the subscriber, which knows better where warnings belong, is told by a thread that may hang alone.
#[cold]
fn warn() {
    // A child of a child is another one.
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

/// Leaves `kept` as it is: what it owns is the parent's.
pub(crate) fn leave<T>(kept: T) {
    std::mem::forget(kept);
}

/// Whether this process is the one that `home` stands for. Warns if it is not.
#[inline]
pub(crate) fn is_at_home(home: Home) -> bool {
    home.is_here() || {
        warn();
        false
    }
}
