//! [`InProcess`] and [`OpenFile`]: a connection belongs to the process that opened it.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use audit_record::Error;
use audit_record::process::{forks, is_parted};

use crate::file::FileId;

/// The process in which something was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InProcess {
    pid: u32,
    /// A child may be given the number of a process that has ended.
    forks: u32,
}

impl InProcess {
    pub(crate) fn here() -> Self {
        Self { pid: std::process::id(), forks: forks() }
    }

    /// `false` in a child that was forked since.
    pub(crate) fn is_here(self) -> bool {
        self == Self::here()
    }

    /// SQLite must not be used in a child: its locks are the parent's, and to close a file drops them.
    pub(crate) fn check(self, doing: &str, path: &Path) -> Result<(), Error> {
        if self.is_here() {
            return Ok(());
        }
        Err(Error::permanent(format!(
            "cannot {doing} the audit trail `{}` in a forked child: it was opened by the parent, process {}; open one \
             here that the parent had not open",
            path.display(),
            self.pid
        )))
    }
}

/// Shows that this process has a file open by SQLite, as long as it lives.
///
/// SQLite keeps the locks of a process in its memory, by file. A forked child inherits that memory, but not the locks:
/// a connection that it opens to the same file takes those of its parent for its own, and would be working without.
pub(crate) struct OpenFile {
    process: InProcess,
    file: FileId,
}

static OPEN: Mutex<Vec<(InProcess, FileId)>> = Mutex::new(Vec::new());

impl OpenFile {
    /// Refuses a file that this process has inherited open.
    pub(crate) fn new(file: FileId, path: &Path) -> Result<Self, Error> {
        if is_parted() {
            return Err(Error::permanent(format!(
                "cannot open the audit trail `{}`: this process was forked while its parent was at work in SQLite, \
                 whose own locks may be taken here for ever; fork before the first trail is opened, or execute a \
                 program",
                path.display()
            )));
        }
        let process = InProcess::here();
        let free = open_files().filter(|open| {
            !open.iter().any(|&(other, other_file)| other_file == file && other != process)
        });
        let Some(mut open) = free else {
            return Err(Error::permanent(format!(
                "cannot open the audit trail `{}` in a forked child: its parent had it open at the fork, and SQLite \
                 takes the locks of the two for one; fork before it is opened, or close it before the fork",
                path.display()
            )));
        };
        open.push((process, file));
        drop(open);
        Ok(Self { process, file })
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        // What was inherited stays for good: nothing closes it.
        if !self.process.is_here() {
            return;
        }
        if let Some(mut open) = open_files()
            && let Some(own) = open.iter().position(|open| *open == (self.process, self.file))
        {
            open.swap_remove(own);
        }
    }
}

/// `None` where another thread was busy with it at the moment of the fork: then nobody gives it back.
fn open_files() -> Option<MutexGuard<'static, Vec<(InProcess, FileId)>>> {
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
