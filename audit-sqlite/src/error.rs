//! [`StoreError`], and how an error of SQLite becomes an [`audit_record::Error`] that names the
//! file, what is wrong, and what to do.

use std::io;
use std::path::Path;

use audit_record::Error;
use rusqlite::ErrorCode;

pub(crate) const NOT_A_DATABASE: &str = "it is not a SQLite database; nothing in it was changed; \
    choose another path, or move that file away";

/// What an open trail has lost, and what to do: the end of the message of a
/// [`StoreError::LostContent`].
pub(crate) const NO_CONTENT: &str = "its content was deleted since it was opened; put the content \
    back, or move the file away and restart the program to create a new trail";
pub(crate) const OTHER_CONTENT: &str = "its content was replaced since it was opened, and records \
    that it has held are missing; put the content back, or restart the program to \
    continue with the present content";
pub(crate) const CUT_CONTENT: &str = "it was cut since it was opened, and a part of its content is \
    missing; put the content back, or keep a copy of the file, restore a backup, and restart the \
    program";
pub(crate) const CUT_LOG: &str = "the `-wal` file beside it was cut or overwritten, and records in \
    it are lost; put the content of that file back, or restart the program to continue without \
    these records";
pub(crate) const CUT_INDEX: &str = "the `-shm` file beside it was cut; close the other connections \
    of this program to the file, and the store will repair it";

/// Why an operation on the trail has failed.
#[derive(Debug)]
pub(crate) enum StoreError {
    /// An error of SQLite, not explained yet.
    Sqlite(rusqlite::Error),
    /// An error that says already what to do.
    Explained(Error),
    /// The files no longer hold the trail that was opened. The connection stays open: if its content
    /// is put back, SQLite still knows what belongs to it.
    LostContent(Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        Self::Explained(error)
    }
}

impl StoreError {
    /// `what` is one of the texts above.
    pub(crate) fn lost(operation: &str, path: &Path, what: &str) -> Self {
        Self::LostContent(Error::transient(format!(
            "cannot {operation} the audit trail `{}`: {what}",
            path.display()
        )))
    }

    pub(crate) fn into_error(self, operation: &str, path: &Path) -> Error {
        match self {
            Self::Sqlite(error) => explain(operation, path, error),
            Self::Explained(error) | Self::LostContent(error) => error,
        }
    }

    /// Whether a row was refused because a row with its key exists.
    pub(crate) fn is_conflict(&self) -> bool {
        self.code() == Some(ErrorCode::ConstraintViolation)
    }

    /// Whether another connection held a lock for too long.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    /// Whether the connection may have a wrong view of the file from now on.
    ///
    /// After a failed write or sync, the system may have dropped pages that SQLite considers
    /// written. Only a new connection reads what is in the file.
    pub(crate) fn invalidates_connection(&self) -> bool {
        matches!(
            self.code(),
            Some(
                ErrorCode::SystemIoFailure
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::FileLockingProtocolFailed
            )
        )
    }

    /// Whether a new connection may succeed although this one never will.
    ///
    /// A connection that was opened while the file was read-only stays read-only. And if the system
    /// has failed to release a lock, SQLite believes that the connection holds it until it is
    /// closed.
    pub(crate) fn needs_new_connection(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen)) || self.is_busy()
    }

    /// Like [`into_error`](Self::into_error), for a connection that was used before. A damaged file
    /// is then a transient error: SQLite also reports damage when the disk can't be read (`EIO`).
    /// So a new connection must read the file again before records are given up.
    pub(crate) fn into_retryable_error(self, operation: &str, path: &Path) -> Error {
        match self {
            Self::Sqlite(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) =>
            {
                let message = format!(
                    "cannot {operation} the audit trail `{}`: it is damaged, or the disk can't be \
                     read (see the system log); the next attempt uses a new connection",
                    path.display()
                );
                Error::transient(message).with_source(error)
            }
            other => other.into_error(operation, path),
        }
    }

    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Explained(_) | Self::LostContent(_) => None,
        }
    }
}

/// Explains an error that occurred during `operation` on the trail at `path`.
pub(crate) fn explain(operation: &str, path: &Path, error: rusqlite::Error) -> Error {
    let (error_of_kind, what): (fn(String) -> Error, _) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Error::transient,
            "another connection holds the lock; look for an open transaction in a database tool, \
             a backup, or another process that writes to it (`lsof` lists who has it open)",
        ),
        Some(ErrorCode::DiskFull) => {
            (Error::transient, "the disk is full, or a quota is used up; make room and try again")
        }
        Some(ErrorCode::ReadOnly) => (
            Error::transient,
            "it can't be written to; check the permissions of the file and of its directory, \
             and whether the file system is mounted read-only",
        ),
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => (
            Error::transient,
            "access is denied; check the permissions of the file and of its directory",
        ),
        Some(ErrorCode::CannotOpen) => (
            Error::transient,
            "the file, or the `-wal` or `-shm` file beside it, can't be opened; check that the \
             directory exists and may be written to, and the limit of open files",
        ),
        Some(ErrorCode::SystemIoFailure) => {
            (Error::transient, "reading or writing failed; check the disk and the system log")
        }
        Some(ErrorCode::OutOfMemory) => (Error::transient, "there is not enough memory"),
        Some(ErrorCode::FileLockingProtocolFailed) => {
            (Error::transient, "the file system's locks do not work; move it to a local disk")
        }
        Some(ErrorCode::NotADatabase) => (Error::damaged, NOT_A_DATABASE),
        Some(ErrorCode::DatabaseCorrupt) => (
            Error::damaged,
            "it is damaged, or the disk can't be read (see the system log); keep a copy of it and \
             of the `-wal` file beside it, then restore a backup or recover what is left with \
             `sqlite3 FILE .recover`",
        ),
        Some(ErrorCode::TooBig) => (
            Error::permanent,
            "a record is larger than SQLite can store; lower the limits of captured values",
        ),
        _ => (Error::permanent, "SQLite reports an error; the source of this error says which"),
    };
    let message = format!("cannot {operation} the audit trail `{}`: {what}", path.display());
    error_of_kind(message).with_source(error)
}

/// Explains an error that occurred while the trail at `path` was created.
pub(crate) fn explain_create(path: &Path, error: io::Error) -> Error {
    use io::ErrorKind;
    let (transient, what) = match error.kind() {
        ErrorKind::NotFound => (false, "its directory does not exist; create it first"),
        ErrorKind::NotADirectory => (false, "a part of its path is a file, not a directory"),
        ErrorKind::PermissionDenied => {
            (false, "access is denied; check the permissions of its directory")
        }
        ErrorKind::ReadOnlyFilesystem => {
            (false, "the file system is mounted read-only; choose another path")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            (true, "the disk is full, or a quota is used up; make room and try again")
        }
        _ => (false, "the source of this error says why"),
    };
    let message = format!("cannot create the audit trail `{}`: {what}", path.display());
    let error_of_kind = if transient { Error::transient } else { Error::permanent };
    error_of_kind(message).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use rusqlite::ffi;

    use super::*;

    fn sqlite(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    fn explained(code: i32) -> Error {
        let error = explain("write to", Path::new("/srv/audit.db"), sqlite(code));
        assert!(error.source().is_some(), "SQLite's own error must be kept as the source");
        error
    }

    #[test]
    fn each_code_says_whether_to_retry_and_what_to_do() {
        for (code, transient, hint) in [
            (ffi::SQLITE_BUSY, true, "another connection holds the lock"),
            (ffi::SQLITE_BUSY_SNAPSHOT, true, "another connection holds the lock"),
            (ffi::SQLITE_LOCKED, true, "another connection holds the lock"),
            (ffi::SQLITE_FULL, true, "the disk is full"),
            (ffi::SQLITE_READONLY, true, "it can't be written to; check the permissions"),
            (ffi::SQLITE_READONLY_DIRECTORY, true, "it can't be written to"),
            (ffi::SQLITE_CANTOPEN, true, "`-wal` or `-shm` file"),
            (ffi::SQLITE_PERM, true, "access is denied"),
            (ffi::SQLITE_IOERR_FSYNC, true, "check the disk"),
            (ffi::SQLITE_NOMEM, true, "not enough memory"),
            (ffi::SQLITE_PROTOCOL, true, "local disk"),
            (ffi::SQLITE_NOTADB, false, "not a SQLite database"),
            (ffi::SQLITE_CORRUPT, false, "it is damaged"),
            (ffi::SQLITE_TOOBIG, false, "larger than SQLite can store"),
            (ffi::SQLITE_ERROR, false, "the source of this error says which"),
        ] {
            let error = explained(code);
            let message = error.to_string();
            assert_eq!(error.is_transient(), transient, "{code}: {message}");
            let is_damage = matches!(code, ffi::SQLITE_NOTADB | ffi::SQLITE_CORRUPT);
            assert_eq!(error.is_damaged(), is_damage, "{code}: {message}");
            assert!(message.starts_with("cannot write to the audit trail `/srv/audit.db`: "));
            assert!(message.contains(hint), "{code}: {message}");
        }
    }

    #[test]
    fn a_failed_creation_says_what_is_wrong() {
        use io::ErrorKind;
        for (kind, transient, hint) in [
            (ErrorKind::NotFound, false, "its directory does not exist"),
            (ErrorKind::NotADirectory, false, "a part of its path is a file"),
            (ErrorKind::PermissionDenied, false, "check the permissions"),
            (ErrorKind::ReadOnlyFilesystem, false, "mounted read-only"),
            (ErrorKind::StorageFull, true, "the disk is full"),
            (ErrorKind::Other, false, "the source of this error says why"),
        ] {
            let error = explain_create(Path::new("/srv/audit.db"), kind.into());
            assert_eq!(error.is_transient(), transient, "{error}");
            assert!(error.to_string().starts_with("cannot create the audit trail `/srv/audit.db`"));
            assert!(error.to_string().contains(hint), "{error}");
        }
    }

    #[test]
    fn only_errors_that_make_the_file_uncertain_invalidate_the_connection() {
        let invalidates = |code| StoreError::Sqlite(sqlite(code)).invalidates_connection();
        assert!(invalidates(ffi::SQLITE_IOERR_FSYNC));
        assert!(invalidates(ffi::SQLITE_CORRUPT));
        assert!(!invalidates(ffi::SQLITE_BUSY));
        assert!(!invalidates(ffi::SQLITE_FULL));
        assert!(!StoreError::Explained(Error::permanent("no")).invalidates_connection());
    }
}
