//! [`LockFile`]: the file beside the trail that shows whether a recorder session is alive.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
use rustix::fs::OFlags;
use uuid::Uuid;

use crate::file::{FileId, sibling};

/// A locked file that exists as long as the session does. The system releases the lock when the
/// process ends, however it ends.
pub(super) struct LockFile {
    path: PathBuf,
    id: FileId,
    /// Holds the lock.
    _file: File,
}

/// The state of another session's lock file.
#[derive(Debug)]
pub(super) enum LockState {
    /// Another process holds the lock.
    Held,
    /// Nobody held the lock. It is now held by this file.
    Acquired(File),
    /// The file does not exist.
    Missing,
    /// This process may not open the file, or its file system has no locks.
    Unreadable,
}

impl LockFile {
    /// Creates the file and locks it; `None` if the file system has no locks.
    pub(super) fn create(database: &Path, session: Uuid) -> io::Result<Option<Self>> {
        let path = lock_path(database, session);
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let mut create = options.clone();
        create.create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut create, 0o600);
        let file = match create.open(&path) {
            // This session has begun before and failed half-way. No other session has this name.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let file = without_following(&mut options).open(&path)?;
                // If the lock is held, the session has not failed, and the file must stay.
                file.try_lock()?;
                file
            }
            file => file?,
        };
        // Locking it a second time changes nothing.
        match file.try_lock() {
            Ok(()) => {
                let id = FileId::from_metadata(&file.metadata()?);
                Ok(Some(Self { path, id, _file: file }))
            }
            Err(error) => {
                let _ = fs::remove_file(&path);
                match error {
                    TryLockError::Error(error) if error.kind() == io::ErrorKind::Unsupported => {
                        Ok(None)
                    }
                    error => Err(error.into()),
                }
            }
        }
    }

    /// The path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file was deleted, moved away or replaced.
    pub(super) fn is_lost(&self) -> bool {
        match FileId::of(&self.path) {
            Ok(now) => now != self.id,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Deletes the file. This does not happen on drop, because the file shows the next start that a
    /// session was not closed.
    pub(super) fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Tries to take the lock of `session`, without waiting.
pub(super) fn try_lock(database: &Path, session: Uuid) -> LockState {
    let path = lock_path(database, session);
    let file = match without_following(OpenOptions::new().read(true)).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return LockState::Missing,
        Err(_) => return LockState::Unreadable,
    };
    match file.try_lock() {
        Ok(()) => LockState::Acquired(file),
        Err(TryLockError::WouldBlock) => LockState::Held,
        Err(TryLockError::Error(_)) => LockState::Unreadable,
    }
}

/// Deletes the lock file of a dead session.
pub(super) fn remove_lock_file(database: &Path, session: Uuid) {
    let _ = fs::remove_file(lock_path(database, session));
}

/// If somebody has put a symbolic link or a pipe in the file's place, opening it fails instead of
/// following the link or blocking.
fn without_following(options: &mut OpenOptions) -> &OpenOptions {
    #[cfg(target_os = "linux")]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        options,
        (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits() as i32,
    );
    options
}

/// Where the lock file of `session` is.
pub(super) fn lock_path(database: &Path, session: Uuid) -> PathBuf {
    sibling(database, &format!("-session-{}", session.simple()))
}
