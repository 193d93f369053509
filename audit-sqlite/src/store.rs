//! [`SqliteStore`]: writes batches.

mod connection;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use audit_record::process::hold_off_forks;
use audit_record::store::ChangeReader;
use audit_record::store::{Batch, RecorderSession, Store};
use audit_record::{Durability, Error, Record};

use crate::connect_options::ConnectOptions;
use crate::connection::{WalTrust, WriteConnection};
use crate::error::{StoreError, explain};
use crate::file::TrailFile;
use crate::fork::{ConnectionOwner, OpenFile};
use crate::identity::TrailIdentity;
use crate::insert::{Inserter, STORE_TRANSACTION, retry_on_conflict};
use crate::migrate::touch_version;
use crate::read::{ReadConnection, Reader};
use crate::restore::restore_schema;
use crate::session::SessionRow;
use crate::watch::FileWatch;

/// An audit trail in a SQLite file.
///
/// Any number of stores, in any number of processes on one machine, can write to one file. Any tool
/// can read it at the same time. The store starts no thread of its own.
///
/// A store belongs to the process that opened it. In a forked child, every operation fails, and
/// dropping the store leaves the connection alone. The child can't open a trail that its parent had
/// open at the fork either.
///
/// ```
/// use audited::record::Kind;
/// use audited::store::Store;
/// use audited::Record;
/// use audited::SqliteStore;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("audit.db");
/// let mut store = SqliteStore::open(&path)?;
/// let mut record = Record::new(Kind::Event, "open the vault", "2026-01-02T03:04:05.678Z".parse()?);
/// record.actor = Some("alice".into());
/// store.write(&[record])?;
/// store.close()?;
///
/// // Any program that reads SQLite can read the trail.
/// let trail = rusqlite::Connection::open(&path)?;
/// let line: String = trail.query_row(
///     "SELECT started_at || ' ' || actor || ': ' || action FROM audit_log WHERE seq = 1",
///     [],
///     |row| row.get(0),
/// )?;
/// assert_eq!(line, "2026-01-02T03:04:05.678000Z alice: open the vault");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SqliteStore {
    path: PathBuf,
    file: TrailFile,
    trail: TrailIdentity,
    watch: FileWatch,
    options: ConnectOptions,
    /// `None` once closed, and after an error that makes the connection's view of the file
    /// unreliable. The next write then opens a new one.
    connection: Option<WriteConnection>,
    /// `None` once closed.
    open_file: Option<OpenFile>,
    wal_trust: WalTrust,
    closed: bool,
    inserter: Inserter,
    /// The recorder session, once one has begun.
    session: Option<SessionRow>,
    /// The connections of the readers that this store has handed out.
    readers: Vec<Weak<ReadConnection>>,
    owner: ConnectionOwner,
}

impl SqliteStore {
    pub(crate) fn new(
        path: PathBuf,
        (file, open_file): (TrailFile, OpenFile),
        options: ConnectOptions,
        connection: WriteConnection,
        wal_trust: WalTrust,
    ) -> Result<Self, Error> {
        let trail = TrailIdentity::read(&connection.connection, connection.kind)
            .map_err(|error| explain("open", &path, error))?;
        Ok(Self {
            path,
            file,
            trail,
            watch: FileWatch::default(),
            options,
            connection: Some(connection),
            open_file: Some(open_file),
            wal_trust,
            closed: false,
            inserter: Inserter::default(),
            session: None,
            readers: Vec::new(),
            owner: ConnectionOwner::current(),
        })
    }

    /// Limits the size of the file for writes of this store. Tests use it to simulate a full disk.
    #[doc(hidden)]
    pub fn limit_pages(&mut self, pages: u32) -> Result<(), Error> {
        let Some(writer) = &self.connection else { return Err(self.closed_error()) };
        writer
            .connection
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .map_err(|error| explain("limit", &self.path, error))
    }

    /// Checks the schema when the trail is opened. See [`SqliteStore::open`].
    pub(crate) fn check_schema(&mut self) -> Result<(), Error> {
        let Self { connection, inserter, path, .. } = self;
        let Some(writer) = connection else { return Ok(()) };
        restore_schema(writer, inserter, None, path)
            .map_err(|failure| failure.into_error("open", path))
    }

    /// Checks the schema again if it has changed since. Records are more important than views: if
    /// an object can never be restored, the batch is stored, and the next opening reports it.
    fn keep_schema(&mut self, writer: &mut WriteConnection) -> Result<(), StoreError> {
        let session = self.session.as_ref().map(SessionRow::number);
        match restore_schema(writer, &mut self.inserter, session, &self.path) {
            Err(_) if writer.checked_schema.is_some() => Ok(()),
            result => result,
        }
    }

    fn store(&mut self, writer: &mut WriteConnection, batch: &Batch<'_>) -> Result<(), StoreError> {
        let for_power = batch.durability >= Durability::Power;
        let must_rewrite_wal = match self.wal_trust {
            WalTrust::Trusted => false,
            // A program that records little, and never with `Power`, does not pay for the rewrite.
            WalTrust::Inherited => for_power || writer.is_checkpoint_due()?,
            WalTrust::DiskError => true,
        };
        if must_rewrite_wal {
            match writer.rewrite_wal(&self.path) {
                Ok(()) => self.wal_trust = WalTrust::Trusted,
                Err(failure) if for_power => return Err(failure),
                // The lower levels do not depend on it. Only checkpoints have to wait.
                Err(_) => {}
            }
        }
        writer.set_durability(batch.durability)?;
        self.commit(writer, batch)?;
        if self.wal_trust != WalTrust::Trusted {
            return Ok(());
        }
        // If this fails, the batch is stored, but is not acknowledged, because the connection is no
        // longer trusted. When the batch is offered again, its records are found.
        writer.checkpoint_if_due()
    }

    /// Stores all of `batch` in one transaction, or nothing.
    ///
    /// A record that is stored already is not stored again. So a batch can be offered again after
    /// an error that leaves open whether it was stored, such as a failed sync at commit.
    fn commit(
        &mut self,
        writer: &mut WriteConnection,
        batch: &Batch<'_>,
    ) -> Result<(), StoreError> {
        let Self { path, trail, inserter, session, .. } = self;
        if let Some(session) = session {
            session.keep_lock(path);
        }
        let result = retry_on_conflict(|some_stored| {
            let kind = writer.kind;
            let transaction = writer.begin("write to", path)?;
            let number = session.as_ref().map(SessionRow::number);
            inserter.insert(
                &transaction,
                &STORE_TRANSACTION,
                number,
                batch.records,
                some_stored,
            )?;
            if let Some(session) = session {
                session.apply_batch(&transaction, inserter, batch, (trail, path))?;
            }
            if some_stored && batch.durability >= Durability::Power {
                // The records that are stored already may not be synced, and a commit that writes
                // nothing syncs nothing.
                touch_version(&transaction, kind)?;
            }
            Ok(transaction.commit()?)
        });
        if let Err(failure) = result {
            inserter.forget_names();
            return Err(failure);
        }
        if let Some(session) = session {
            session.batch_committed(batch);
        }
        Ok(trail.add_stored(&writer.connection, batch.records)?)
    }

    /// Whether `batch` adds nothing to what is stored.
    fn is_empty(&self, batch: &Batch<'_>) -> bool {
        let tally_is_stored =
            self.session.as_ref().is_none_or(|session| session.stored_tally() == batch.tally);
        batch.records.is_empty() && batch.intents.is_empty() && tally_is_stored
    }

    fn closed_error(&self) -> Error {
        Error::closed(format!(
            "cannot write to the audit trail `{}`: the store is closed; open it again",
            self.path.display()
        ))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path)
            .field("options", &self.options)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl Store for SqliteStore {
    /// Stores `records` in one transaction.
    ///
    /// A record whose id is in the trail already is not stored again. So after an error the same
    /// records can be offered again, to this store or to another store of the same file.
    ///
    /// # Errors
    ///
    /// Transient errors, which can be retried:
    ///
    /// - another connection holds the lock for longer than the
    ///   [busy timeout](crate::SqliteStoreBuilder::busy_timeout);
    /// - the disk is full or fails;
    /// - on Unix, the path no longer names the file that was opened;
    /// - other problems, which the documentation of the crate `audit-sqlite` lists.
    ///
    /// Permanent errors:
    ///
    /// - the file is damaged, or a newer program has changed its schema;
    /// - a record is too large, or a different record has its id;
    /// - the store was [closed](Store::close).
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        let mut batch = Batch::new(records);
        batch.tally = self.session.as_ref().map(SessionRow::stored_tally).unwrap_or_default();
        self.write_batch(&batch)
    }

    /// Stores `batch` in one transaction.
    ///
    /// [`Durability::Power`] means `synchronous = FULL`: before this returns, the `-wal` file is
    /// synced, with everything that any connection has committed before. Lower levels mean
    /// `synchronous = NORMAL`: a commit survives the end of the process at any moment. It survives
    /// a power loss only if a later commit was synced. (With a rollback journal, the two are
    /// `EXTRA` and `FULL`.)
    ///
    /// # Errors
    ///
    /// See [`write`](Store::write). After a disk error, such as a failed sync, the connection is
    /// closed, and the next batch opens a new one. The `-wal` file may then be incomplete on the
    /// disk. So the new connection writes its content to the disk again before a checkpoint, and
    /// before a batch that must survive a power loss. A store that finds a `-wal` file when it is
    /// opened does the same.
    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        self.owner.check("write to", &self.path)?;
        let _forks = hold_off_forks();
        if self.closed {
            return Err(self.closed_error());
        }
        if !batch.intents.is_empty() && self.session.is_none() {
            return Err(Error::permanent(format!(
                "cannot store an intent in the audit trail `{}`: this store has no recorder \
                 session; call `begin` first",
                self.path.display()
            )));
        }
        if self.is_empty(batch) {
            return Ok(());
        }
        self.with_connection("write to", |store, writer| store.store(writer, batch))?;
        self.check_written()
    }

    /// Adds the recorder session to the trail (`audit_sessions`), and closes sessions whose process
    /// has died.
    ///
    /// A session is dead when its process has ended without closing it. All of the following
    /// happens in one transaction, so only the first store that begins afterwards does it. Each
    /// intent that the dead session has left becomes a record with outcome `unknown`. If records
    /// may be lost, a `gap` record says how many at most, in which period, and of which process and
    /// service. It also says whether they were counted, or the number is the limit of the queue.
    ///
    /// While the session lasts, the file `<name of the trail>-session-<id>` exists beside the
    /// trail, with mode 0600. The session holds a lock on it, which shows other processes that it
    /// is alive. Do not delete it. Without the file, the session counts as alive only while its
    /// process can be seen to run. That is possible on Linux, unless the process is in another
    /// container.
    ///
    /// # Errors
    ///
    /// See [`write`](Store::write). It also fails if no file can be created beside the trail, and
    /// if this store already has a session.
    fn begin(&mut self, session: &RecorderSession) -> Result<(), Error> {
        self.owner.check("write to", &self.path)?;
        let _forks = hold_off_forks();
        if self.closed {
            return Err(self.closed_error());
        }
        if self.session.is_some() {
            return Err(Error::permanent(format!(
                "cannot begin a recorder session in the audit trail `{}`: this store already has \
                 one; open another store",
                self.path.display()
            )));
        }
        let session = self.with_connection("write to", |store, writer| {
            SessionRow::begin(session, writer, &mut store.inserter, &store.path, store.file.id())
        })?;
        let (number, id) = session.key();
        self.trail.set_session(number, id);
        self.session = Some(session);
        Ok(())
    }

    /// Returns a reader with its own connection, which it opens at the first query. The reader
    /// keeps working after the store is closed.
    fn reader(&mut self) -> Result<Option<Box<dyn ChangeReader>>, Error> {
        let reader = Reader::new(self.path.clone(), self.file.clone(), self.options.clone())?;
        self.readers.retain(|reader| reader.strong_count() > 0);
        self.readers.push(Arc::downgrade(reader.connection()));
        Ok(Some(Box::new(reader)))
    }

    /// Does for the recorder sessions that have died since what [`begin`](Store::begin) does, and
    /// restores what another program has dropped from the schema.
    ///
    /// If there is nothing to do, it only reads.
    fn maintain(&mut self) -> Result<(), Error> {
        self.owner.check("write to", &self.path)?;
        let _forks = hold_off_forks();
        if self.closed {
            return Err(self.closed_error());
        }
        self.with_connection("write to", |store, writer| {
            let Self { session, inserter, path, file, .. } = store;
            session
                .as_ref()
                .map_or(Ok(()), |session| session.recover_others(writer, inserter, path, file.id()))
        })
    }

    /// Ends the recorder session, moves the content of the `-wal` file into the trail as far as
    /// readers allow, and closes the connection.
    fn close(&mut self) -> Result<(), Error> {
        self.owner.check("close", &self.path)?;
        let _forks = hold_off_forks();
        if self.closed {
            return Ok(());
        }
        let ended = match self.session.take() {
            Some(session) => {
                self.with_connection("close", |store, writer| session.close(writer, &store.path))
            }
            None => Ok(()),
        };
        self.closed = true;
        let closed = self.close_connection();
        self.open_file = None;
        ended.and(closed)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // In a forked child, the connection is the parent's, and closing it would drop the parent's
        // locks.
        if !self.owner.is_current() {
            std::mem::forget(self.connection.take());
            return;
        }
        let _forks = hold_off_forks();
        if self.connection.is_some() {
            let _ = self.close_connection();
        }
    }
}
