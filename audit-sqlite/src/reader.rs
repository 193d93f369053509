//! [`SqliteReader`]: reads the changes in a trail without a recorder.
//!
//! It writes nothing: neither to the trail, nor beside it. So it also reads a copy that can't be
//! written to. SQLite itself creates a `-wal` and a `-shm` file when it reads a database in WAL mode
//! that no program has open; [`Access`] says how this is avoided.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io, thread};

use audit_record::Error;
use audit_record::process::hold_off_forks;
use audit_record::store::{ChangeQuery, ChangeReader, StoredChange};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{NOT_A_DATABASE, StoreError};
use crate::file::{self, TrailFile, sibling};
use crate::fork::{ConnectionOwner, OpenFile};
use crate::migrate::identify;
use crate::read::select_changes;
use crate::schema::{FIRST_READABLE_VERSION, SCHEMA_VERSION};

/// How long to wait for the lock of another connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The time of the last change of a file may be as much too early as the system's clock ticks.
const CLOCK_TICK: Duration = Duration::from_millis(50);

/// How often a file is read again because it has changed meanwhile.
const MAX_ATTEMPTS: usize = 10;

/// Reads the changes in a trail without a recorder: in a copy, or beside a running program.
///
/// Reading writes nothing. There is no recorder session, no lock file, and no `-wal` or `-shm` file
/// that did not exist before. Neither the file nor its directory need to be writable. Trails of
/// schema versions 2 and later can be read; they are not migrated.
///
/// A copy must be complete: if the `-wal` file beside the original was not empty, copy it too. In that
/// case, the copy must be writable for this process, although nothing is written.
///
/// Pass it to [`HistoryReader`](https://docs.rs/audited/latest/audited/history/struct.HistoryReader.html).
///
/// ```
/// use audited::history::HistoryReader;
/// use audited::store::SqliteReader;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("audit.db");
/// let audit = audited::init(&path)?;
/// audited::change_of("invoice", 4711).change("total", "101.67", "99.00").record();
/// drop(audit);
///
/// let trail = HistoryReader::new(SqliteReader::open(&path)?);
/// let change = trail.history_of("invoice", 4711).last_change_of("total")?.expect("it changed");
/// assert_eq!(change.to_string(), r#"invoice 4711 changed: total "101.67" → "99.00""#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SqliteReader {
    path: PathBuf,
    file: TrailFile,
    owner: ConnectionOwner,
    _open_file: OpenFile,
}

impl SqliteReader {
    /// Opens the trail at `path`, which may also be in the database of another program.
    ///
    /// # Errors
    ///
    /// If the file does not exist or can't be read, if it holds no trail, if its schema is newer than
    /// this crate or has version 1, and if it has a second name (hard link).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let _forks = hold_off_forks();
        let paths = file::resolve(path.as_ref())?;
        let file = TrailFile::of(&paths).map_err(|error| {
            let shown = paths.resolved.display();
            let text = format!("cannot read the audit trail `{shown}`: it can't be found");
            Error::permanent(text).with_source(error)
        })?;
        if file.is_emptied(&paths.resolved) {
            let shown = paths.resolved.display();
            let text = format!("cannot read the audit trail `{shown}`: {NOT_A_DATABASE}");
            return Err(Error::damaged(text));
        }
        let open_file = OpenFile::register(file.id(), &paths.resolved)?;
        let owner = ConnectionOwner::current();
        let reader = Self { path: paths.resolved, file, owner, _open_file: open_file };
        reader.read(|_| Ok(()))?;
        Ok(reader)
    }

    /// Calls `f` in a transaction on a connection of its own.
    fn read<T>(&self, f: impl Fn(&Connection) -> Result<T, StoreError>) -> Result<T, Error> {
        self.file.check("read", &self.path)?;
        let result = self.try_read(f);
        // Checked again, and before any other error is reported: the file may have been replaced
        // just before it was opened.
        self.file.check("read", &self.path)?;
        result.map_err(|failure| failure.into_error("read", &self.path))
    }

    fn try_read<T>(
        &self,
        f: impl Fn(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let before = Files::now(&self.path).map_err(|error| self.cannot_look(error))?;
            if before.access() != Access::Immutable {
                return self.read_with(before.access(), &f);
            }
            let age = before.modified.elapsed().unwrap_or(CLOCK_TICK);
            thread::sleep(CLOCK_TICK.saturating_sub(age));
            let result = self.read_with(Access::Immutable, &f);
            if Files::now(&self.path).is_ok_and(|now| now == before) {
                return result;
            }
        }
        // Another program is writing to it, so the files beside it are not those of a copy.
        self.read_with(Access::Shared, &f)
    }

    fn read_with<T>(
        &self,
        access: Access,
        f: &impl Fn(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result =
            access.connect(&self.path).map_err(StoreError::from).and_then(|mut connection| {
                let transaction = connection.transaction()?;
                let (_, version) = identify(&transaction, &self.path, true)?;
                if version < FIRST_READABLE_VERSION {
                    return Err(self.unreadable_version(version));
                }
                f(&transaction)
            });
        match result {
            Err(StoreError::Sqlite(error)) if access == Access::Exclusive && is_denied(&error) => {
                Err(self.cannot_read_wal(error))
            }
            result => result,
        }
    }

    fn cannot_look(&self, error: io::Error) -> StoreError {
        let text = format!(
            "cannot read the audit trail `{}`: it can't be looked at; check the permissions of its \
             directory",
            self.path.display()
        );
        StoreError::Explained(Error::transient(text).with_source(error))
    }

    fn cannot_read_wal(&self, error: rusqlite::Error) -> StoreError {
        let text = format!(
            "cannot read the audit trail `{}`: it is a copy with a `-wal` file that holds records, \
             and SQLite can read them only if this process may write to both files; copy them to a \
             place of your own",
            self.path.display()
        );
        StoreError::Explained(Error::permanent(text).with_source(error))
    }

    fn unreadable_version(&self, version: i32) -> StoreError {
        let shown = self.path.display();
        StoreError::Explained(Error::permanent(if version == 0 {
            format!("cannot read the audit trail `{shown}`: the database holds no trail")
        } else {
            format!(
                "cannot read the audit trail `{shown}`: its schema has version {version}, and only \
                 versions {FIRST_READABLE_VERSION} to {SCHEMA_VERSION} can be read; open it once \
                 with `SqliteStore`, which migrates it"
            )
        }))
    }
}

impl ChangeReader for SqliteReader {
    fn changes(&mut self, query: &ChangeQuery) -> Result<Vec<StoredChange>, Error> {
        self.owner.check("read", &self.path)?;
        if query.limit == 0 || query.target_types.is_empty() {
            return Ok(Vec::new());
        }
        let _forks = hold_off_forks();
        self.read(|transaction| select_changes(transaction, query))
    }
}

impl std::fmt::Debug for SqliteReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteReader").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The state of the files of a database.
#[derive(Debug, PartialEq)]
struct Files {
    modified: SystemTime,
    len: u64,
    /// The lengths of the files beside it: 0 if there is none.
    wal: u64,
    journal: u64,
    has_index: bool,
}

impl Files {
    fn now(path: &Path) -> io::Result<Self> {
        let length_of = |suffix| match fs::metadata(sibling(path, suffix)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let metadata = fs::metadata(path)?;
        Ok(Self {
            modified: metadata.modified()?,
            len: metadata.len(),
            wal: length_of("-wal")?.unwrap_or(0),
            journal: length_of("-journal")?.unwrap_or(0),
            has_index: length_of("-shm")?.is_some(),
        })
    }

    fn access(&self) -> Access {
        if self.has_index || self.journal > 0 || cfg!(not(unix)) {
            Access::Shared
        } else if self.wal > 0 {
            Access::Exclusive
        } else {
            Access::Immutable
        }
    }
}

/// How a database is read so that no file is created beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// A program has it open, or has left the files that SQLite needs: read with locks, as usual.
    Shared,
    /// A copy with a `-wal` file. With an exclusive lock, SQLite keeps the index of that file in
    /// memory.
    Exclusive,
    /// No program has it open. SQLite reads it without locks, so the caller checks afterwards that no
    /// program has written to it meanwhile.
    Immutable,
}

impl Access {
    fn connect(self, path: &Path) -> rusqlite::Result<Connection> {
        let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let read_write = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match self {
            Self::Shared => Connection::open_with_flags(path, read_only)?,
            Self::Exclusive => Connection::open_with_flags(path, read_write)?,
            Self::Immutable => Connection::open_with_flags(
                immutable_uri(path),
                read_only | OpenFlags::SQLITE_OPEN_URI,
            )?,
        };
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "query_only", true)?;
        if self == Self::Exclusive {
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
        }
        Ok(connection)
    }
}

fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri + "?immutable=1"
}

fn is_denied(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::SystemIoFailure)
    )
}
