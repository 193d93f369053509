//! [`ConnectionOwner`] and [`OpenFile`]: keep a forked child from using the connections and locks
//! of its parent.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use audit_record::Error;
use audit_record::process::{forks, was_forked_during_work};

use crate::file::FileId;

/// The process that has opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionOwner {
    pid: u32,
    /// A child may get the id of a process that has ended, so the id alone is not enough.
    forks: u32,
}

impl ConnectionOwner {
    pub(crate) fn current() -> Self {
        Self { pid: std::process::id(), forks: forks() }
    }

    /// Returns `false` in a child that was forked since.
    pub(crate) fn is_current(self) -> bool {
        self == Self::current()
    }

    /// Returns an error in a forked child. SQLite must not be used there: its locks are the
    /// parent's, and closing a file drops them.
    pub(crate) fn check(self, operation: &str, path: &Path) -> Result<(), Error> {
        if self.is_current() {
            return Ok(());
        }
        Err(Error::permanent(format!(
            "cannot {operation} the audit trail `{}` in a forked child: the parent process {} \
             opened it; open a trail here that the parent did not have open",
            path.display(),
            self.pid
        )))
    }
}

/// Registers, until it is dropped, that this process has a file open with SQLite.
///
/// SQLite keeps the locks of a process in memory, by file. A forked child inherits that memory, but
/// not the locks. If it opened the same file, SQLite would consider the parent's locks its own, and
/// would work without any.
pub(crate) struct OpenFile {
    owner: ConnectionOwner,
    file: FileId,
}

static OPEN: Mutex<Vec<(ConnectionOwner, FileId)>> = Mutex::new(Vec::new());

impl OpenFile {
    /// Registers `file`, and refuses it if this process has inherited it open.
    pub(crate) fn register(file: FileId, path: &Path) -> Result<Self, Error> {
        if was_forked_during_work() {
            return Err(Error::permanent(format!(
                "cannot open the audit trail `{}`: this process was forked while its parent was \
                 using SQLite, so SQLite's internal locks may be held forever; fork before you \
                 open the first trail, or execute a new program after the fork",
                path.display()
            )));
        }
        let owner = ConnectionOwner::current();
        let open = open_files().filter(|open| {
            !open.iter().any(|&(other, other_file)| other_file == file && other != owner)
        });
        let Some(mut open) = open else {
            return Err(Error::permanent(format!(
                "cannot open the audit trail `{}` in a forked child: its parent had it open at the \
                 fork, and SQLite can't separate the locks of the two processes; fork before you \
                 open the trail, or close it before the fork",
                path.display()
            )));
        };
        open.push((owner, file));
        drop(open);
        Ok(Self { owner, file })
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        // An inherited entry stays, because the inherited connection is never closed.
        if !self.owner.is_current() {
            return;
        }
        if let Some(mut open) = open_files()
            && let Some(own) = open.iter().position(|open| *open == (self.owner, self.file))
        {
            open.swap_remove(own);
        }
    }
}

/// `None` if another thread held the lock at the moment of the fork, because nobody releases it
/// then.
fn open_files() -> Option<MutexGuard<'static, Vec<(ConnectionOwner, FileId)>>> {
    if forks() == 0 {
        return Some(OPEN.lock().unwrap_or_else(PoisonError::into_inner));
    }
    for _ in 0..10_000 {
        match OPEN.try_lock() {
            Ok(open) => return Some(open),
            Err(TryLockError::Poisoned(open)) => return Some(open.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
    None
}
