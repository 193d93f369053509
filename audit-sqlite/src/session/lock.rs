//! [`Lock`]: the file beside the trail by which a session shows that it is alive.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

#[cfg(target_os = "linux")]
use rustix::fs::OFlags;

/// Locked for as long as the session is at work. The system unlocks it when the process ends, in whatever way.
pub(super) struct Lock {
    path: PathBuf,
    /// Holds the lock.
    _file: File,
}

/// What the lock file of somebody's session says.
#[derive(Debug)]
pub(super) enum Found {
    /// It is locked.
    Held,
    /// It is not, or was not; now it is locked here.
    Free(File),
    Missing,
    /// This process may not open it, or its file system has no locks.
    Unreadable,
}

impl Lock {
    /// Makes the file and locks it; `None` where the file system has no locks.
    pub(super) fn new(database: &Path, session: Uuid) -> io::Result<Option<Self>> {
        let path = path_of(database, session);
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let mut create = options.clone();
        create.create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut create, 0o600);
        let file = match create.open(&path) {
            // The session has begun before, and failed half-way: nobody else's has its name.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let file = without_surprise(&mut options).open(&path)?;
                // Then it has not failed, and the file stays its own.
                file.try_lock()?;
                file
            }
            file => file?,
        };
        // To lock it again changes nothing.
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { path, _file: file })),
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

    /// Deletes the file. Not done on drop: a session that is not ended in order is found by it.
    pub(super) fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Looks at the lock of `session`. Never waits.
pub(super) fn look(database: &Path, session: Uuid) -> Found {
    let file =
        match without_surprise(OpenOptions::new().read(true)).open(path_of(database, session)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Missing,
            Err(_) => return Found::Unreadable,
        };
    match file.try_lock() {
        Ok(()) => Found::Free(file),
        Err(TryLockError::WouldBlock) => Found::Held,
        Err(TryLockError::Error(_)) => Found::Unreadable,
    }
}

/// Whatever else somebody has put there, it is neither followed nor waited for.
fn without_surprise(options: &mut OpenOptions) -> &OpenOptions {
    #[cfg(target_os = "linux")]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        options,
        (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits() as i32,
    );
    options
}

/// Deletes the lock file of a session that has died.
pub(super) fn forget(database: &Path, session: Uuid) {
    let _ = fs::remove_file(path_of(database, session));
}

fn path_of(database: &Path, session: Uuid) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(format!("-session-{}", session.simple()));
    name.into()
}
