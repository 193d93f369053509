//! From SQLite's errors to [`audit_record::Error`]: what was wrong, with which file, and what to do.

use std::io;
use std::path::Path;

use audit_record::Error;
use rusqlite::ErrorCode;

pub(crate) const NOT_A_DATABASE: &str = "it is not a SQLite database; nothing in it was changed; \
    choose another path, or move that file away";

/// Why a transaction did not happen.
#[derive(Debug)]
pub(crate) enum Failure {
    /// SQLite says so.
    Sqlite(rusqlite::Error),
    /// This crate says so.
    Refused(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Failure {
    pub(crate) fn into_error(self, doing: &str, path: &Path) -> Error {
        match self {
            Self::Sqlite(error) => explain(doing, path, error),
            Self::Refused(error) => error,
        }
    }

    /// Whether a row was refused because one with its key is there.
    pub(crate) fn is_conflict(&self) -> bool {
        self.code() == Some(ErrorCode::ConstraintViolation)
    }

    /// Whether another connection held a lock for too long.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    /// Whether what the connection believes about the file may be wrong from now on.
    ///
    /// After a failed write or sync, the system may have dropped pages that SQLite takes for
    /// written; only a new connection reads what is there.
    pub(crate) fn spoils_connection(&self) -> bool {
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

    /// Whether a new connection may succeed where this one never will.
    ///
    /// One that was opened while the file could not be written to stays so. And where the system has refused to give
    /// up a lock, SQLite goes on to believe that the connection has it, until it is closed.
    pub(crate) fn wears_out_connection(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen)) || self.is_busy()
    }

    /// What a trusted connection that finds the file damaged may mean: SQLite takes what the disk can't read, `EIO`, for
    /// damage. So a new connection is to look again before a record is given up for it.
    pub(crate) fn into_doubt(self, doing: &str, path: &Path) -> Error {
        match self {
            Self::Sqlite(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) =>
            {
                let message = format!(
                    "cannot {doing} the audit trail `{}`: it is damaged, or the disk can't read it; the system log tells \
                     which; it is tried again by a new connection",
                    path.display()
                );
                Error::transient(message).with_source(error)
            }
            other => other.into_error(doing, path),
        }
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Refused(_) => None,
        }
    }
}

/// What `error` means for one who was `doing` something with the trail at `path`.
pub(crate) fn explain(doing: &str, path: &Path, error: rusqlite::Error) -> Error {
    let (transient, what) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            true,
            "another connection holds the lock; look for an open transaction in a database tool, \
             a backup, or another process that writes to it (`lsof` lists who has it open)",
        ),
        Some(ErrorCode::DiskFull) => {
            (true, "the disk is full, or a quota is used up; make room and try again")
        }
        Some(ErrorCode::ReadOnly) => (
            true,
            "it can't be written to; check the permissions of the file and of its directory, \
             and whether the file system is mounted read-only",
        ),
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            (true, "access is denied; check the permissions of the file and of its directory")
        }
        Some(ErrorCode::CannotOpen) => (
            true,
            "the file, or the `-wal` or `-shm` file beside it, can't be opened; check that the \
             directory exists and may be written to, and the limit of open files",
        ),
        Some(ErrorCode::SystemIoFailure) => {
            (true, "reading or writing failed; check the disk and the system log")
        }
        Some(ErrorCode::OutOfMemory) => (true, "there is not enough memory"),
        Some(ErrorCode::FileLockingProtocolFailed) => {
            (true, "the file system's locks do not work; move it to a local disk")
        }
        Some(ErrorCode::NotADatabase) => (false, NOT_A_DATABASE),
        Some(ErrorCode::DatabaseCorrupt) => (
            false,
            "it is damaged, or the disk can't read it, of which the system log tells; keep a copy of it and \
             of the `-wal` file beside it, then restore a backup or recover what is left with \
             `sqlite3 FILE .recover`",
        ),
        Some(ErrorCode::TooBig) => (
            false,
            "a record is larger than SQLite can store; lower the limits of what is captured",
        ),
        _ => (false, "SQLite refused; the source of this error says why"),
    };
    let message = format!("cannot {doing} the audit trail `{}`: {what}", path.display());
    let error_of_kind = if transient { Error::transient } else { Error::permanent };
    error_of_kind(message).with_source(error)
}

/// What `error` means for one who wanted to create the trail at `path`.
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

    fn explained(code: i32) -> (bool, String) {
        let error = explain("write to", Path::new("/srv/audit.db"), sqlite(code));
        assert!(error.source().is_some(), "SQLite's own error must be kept as the source");
        (error.is_transient(), error.to_string())
    }

    #[test]
    fn each_code_says_whether_to_try_again_and_what_to_do() {
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
            (ffi::SQLITE_ERROR, false, "the source of this error says why"),
        ] {
            let (is_transient, message) = explained(code);
            assert_eq!(is_transient, transient, "{code}: {message}");
            assert!(message.starts_with("cannot write to the audit trail `/srv/audit.db`: "));
            assert!(message.contains(hint), "{code}: {message}");
        }
    }

    #[test]
    fn creation_says_what_is_in_the_way() {
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
    fn only_what_leaves_the_file_in_doubt_spoils_the_connection() {
        let spoils = |code| Failure::Sqlite(sqlite(code)).spoils_connection();
        assert!(spoils(ffi::SQLITE_IOERR_FSYNC));
        assert!(spoils(ffi::SQLITE_CORRUPT));
        assert!(!spoils(ffi::SQLITE_BUSY));
        assert!(!spoils(ffi::SQLITE_FULL));
        assert!(!Failure::Refused(Error::permanent("no")).spoils_connection());
    }
}
