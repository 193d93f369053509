//! [`SqliteStore`]: opens the trail, and keeps the connection in good order.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use audit_record::process::hold_off_forks;
use audit_record::store::{Batch, ChangeReader, Session, Sink};
use audit_record::{Durability, Error, Record};

use crate::builder::SqliteStoreBuilder;
use crate::error::{Failure, explain};
use crate::file::TrailFile;
use crate::link::Link;
use crate::process::{InProcess, OpenFile};
use crate::read::{Reader, Slot};
use crate::session::Work;
use crate::write::Writer;

/// An audit trail in a SQLite file.
///
/// Any number of stores, of any number of processes on one machine, may write to one file, and
/// any tool may read it meanwhile. The store starts no thread of its own.
///
/// It is at home in the process that opened it: in a forked child, it refuses, and leaves the connection alone. Nor can
/// the child open a trail that its parent had open at the fork.
///
/// ```
/// use audited::{Kind, Record, Sink};
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
/// // Whatever can read SQLite can read the trail.
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
    options: SqliteStoreBuilder,
    /// `None` once closed, and after an error that leaves the connection's view of the file in
    /// doubt: then the next write makes a new one.
    link: Option<Link>,
    /// `None` once closed.
    open: Option<OpenFile>,
    doubt: Doubt,
    closed: bool,
    writer: Writer,
    /// The recorder's time at work, once it has begun.
    work: Option<Work>,
    /// What the readers have open.
    readers: Vec<Weak<Slot>>,
    home: InProcess,
}

/// Whether the disk may lack a part of the log. No commit that stands behind that would survive a loss of power, and a
/// checkpoint would write over what the log could not repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Doubt {
    /// The connection is told of each sync of the log that fails, whoever asks for it.
    None,
    /// The log is older than the connection: what a sync has lost before was told to others, which may be dead.
    Older,
    /// There was an error of the disk.
    Error,
}

impl SqliteStore {
    /// Opens the trail at `path`, with the settings of [`SqliteStore::builder`] as they are.
    ///
    /// A file that does not exist is created; on Unix, only its owner may read and write it. A
    /// file that exists keeps its permissions. An empty file becomes a trail; a trail with an
    /// older schema is brought up to date.
    ///
    /// # Errors
    ///
    /// When `path` is empty, `:memory:`, a URI, a directory, a symbolic link to nothing, or in a directory that does
    /// not exist; when the file has a second name (hard link) or, on Linux, is on a network file system (but see
    /// [`network_file_system`](SqliteStoreBuilder::network_file_system)); when it is
    /// no database, or another program's; when its schema is newer than `SCHEMA_VERSION`; when it can't be read and
    /// written; and when the SQLite library is one that can damage it. A file that is refused is not changed.
    ///
    /// ```
    /// let error = audited::SqliteStore::open(":memory:").unwrap_err();
    /// assert!(error.to_string().contains("lost when the program ends"));
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().open(path)
    }

    pub(crate) fn new(
        path: PathBuf,
        (file, open): (TrailFile, OpenFile),
        options: SqliteStoreBuilder,
        link: Link,
        doubt: Doubt,
    ) -> Self {
        Self {
            path,
            file,
            options,
            link: Some(link),
            open: Some(open),
            doubt,
            closed: false,
            writer: Writer::default(),
            work: None,
            readers: Vec::new(),
            home: InProcess::here(),
        }
    }

    /// Settings for a store, to be changed before it is opened.
    #[must_use]
    pub fn builder() -> SqliteStoreBuilder {
        SqliteStoreBuilder::default()
    }

    /// Limits the size of the file for this store's own writes, to see what a full disk does.
    #[doc(hidden)]
    pub fn limit_pages(&mut self, pages: u32) -> Result<(), Error> {
        let Some(link) = &self.link else { return Err(self.closed_error()) };
        link.connection
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .map_err(|error| explain("limit", &self.path, error))
    }

    /// Checks that the store may be used, in this process and with this file.
    fn check(&self, doing: &str) -> Result<(), Error> {
        self.home.check(doing, &self.path)?;
        if self.closed {
            return Err(self.closed_error());
        }
        self.file.check(doing, &self.path)
    }

    /// Does `work` by a connection that is trusted, or by a new one.
    fn by_link<T>(
        &mut self,
        doing: &str,
        work: impl FnOnce(&mut Self, &mut Link) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        // Taken out, so that it is gone if this panics half-way.
        let (mut link, is_new) = match self.link.take() {
            Some(link) => (link, false),
            None => {
                self.writer = Writer::default();
                self.doubt = self.doubt.max(Doubt::Older);
                (self.options.connect(&self.path)?, true)
            }
        };
        let result = self.put_in_order(&mut link).and_then(|()| work(self, &mut link));
        if result.as_ref().is_err_and(Failure::spoils_connection) {
            self.doubt = Doubt::Error;
            link.abandon();
        } else if result.as_ref().is_err_and(Failure::wears_out_connection) {
            link.abandon();
        } else if link.connection.is_autocommit() && link.is_as_set() {
            self.link = Some(link);
        }
        result.map_err(|failure| match is_new {
            true => failure.into_error(doing, &self.path),
            false => failure.into_doubt(doing, &self.path),
        })
    }

    fn put_in_order(&self, link: &mut Link) -> Result<(), Failure> {
        if !link.has_lost_log(&self.path) {
            return Ok(());
        }
        // They would be in the way for as long as they live.
        self.readers.iter().filter_map(Weak::upgrade).for_each(|reader| reader.let_go());
        link.rescue(&self.path)
    }

    fn store(&mut self, link: &mut Link, batch: &Batch<'_>) -> Result<(), Failure> {
        let for_power = batch.durability >= Durability::Power;
        let is_time = match self.doubt {
            Doubt::None => false,
            // A program that records little, and less than `Power`, never pays for it.
            Doubt::Older => for_power || link.is_checkpoint_due()?,
            Doubt::Error => true,
        };
        if is_time {
            match link.mend_log(&self.path) {
                Ok(()) => self.doubt = Doubt::None,
                Err(failure) if for_power => return Err(failure),
                // Less is promised: it goes on, but for checkpoints.
                Err(_) => {}
            }
        }
        link.survive(batch.durability)?;
        self.writer.store(link, &self.path, batch, self.work.as_mut())?;
        if self.doubt > Doubt::None {
            return Ok(());
        }
        // If this fails, the batch is stored, and yet not acknowledged: nothing that this connection says counts.
        // Offered again, it is found.
        link.checkpoint_if_due()
    }

    /// Whether all that `batch` brings is stored.
    fn is_nothing(&self, batch: &Batch<'_>) -> bool {
        let is_told = self.work.as_ref().is_none_or(|work| work.tally() == batch.tally);
        batch.records.is_empty() && batch.intents.is_empty() && is_told
    }

    fn close_link(&mut self) -> Result<(), Failure> {
        let in_doubt = self.doubt > Doubt::None;
        self.link.take().map_or(Ok(()), |link| link.close(&self.path, in_doubt))
    }

    fn closed_error(&self) -> Error {
        Error::permanent(format!(
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

impl Sink for SqliteStore {
    /// Stores `records` in one transaction.
    ///
    /// A record whose id the trail holds already is not stored again, so after an error the same
    /// records may be offered once more, to this store or to another of the same file.
    ///
    /// # Errors
    ///
    /// Transient ones when another connection holds the lock for longer than the
    /// [busy timeout](SqliteStoreBuilder::busy_timeout), when the disk is full or fails, and, on
    /// Unix, when the path no longer names the file that was opened, and for other troubles that the documentation of
    /// the crate `audit-sqlite` lists. Permanent ones when the file
    /// is damaged, when a newer program has changed its schema, when a record is too large, when
    /// another record has its id, and after [`close`](Sink::close).
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        let mut batch = Batch::new(records);
        batch.tally = self.work.as_ref().map(Work::tally).unwrap_or_default();
        self.write_batch(&batch)
    }

    /// Stores `batch` in one transaction.
    ///
    /// [`Durability::Power`] means `synchronous = FULL`: the `-wal` file is synced before this returns, and with it
    /// all that was committed before, by whichever connection. Less means `synchronous = NORMAL`: a commit
    /// survives the end of the process at any moment, and a loss of power if a later one was synced. (In a database
    /// that keeps a rollback journal, `EXTRA` and `FULL`.)
    ///
    /// # Errors
    ///
    /// As [`write`](Sink::write). After an error of the disk, a failed sync among them, the connection is given up. A
    /// new one is made for the next batch. Before a checkpoint, and before a batch that is to survive a loss of power, it
    /// writes the content of the `-wal` file to the disk again, which may never have reached it. So does a store that
    /// finds such a file when it is opened.
    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        self.home.check("write to", &self.path)?;
        let _forks = hold_off_forks();
        if self.closed {
            return Err(self.closed_error());
        }
        if !batch.intents.is_empty() && self.work.is_none() {
            return Err(Error::permanent(format!(
                "cannot announce a call in the audit trail `{}`: no recorder has begun to work with it; call `begin` \
                 before",
                self.path.display()
            )));
        }
        if self.is_nothing(batch) {
            return Ok(());
        }
        self.file.check("write to", &self.path)?;
        self.by_link("write to", |store, link| store.store(link, batch))?;
        // Again: it may have been moved away while this batch was on its way. So may the log, with this batch in it.
        self.file.check("write to", &self.path)?;
        match self.link.as_mut().is_some_and(|link| link.has_lost_log(&self.path)) {
            false => Ok(()),
            true => Err(Error::transient(format!(
                "cannot write to the audit trail `{}`: the `-wal` or `-shm` file beside it was deleted or replaced \
                 meanwhile; leave these files alone while the trail is in use",
                self.path.display()
            ))),
        }
    }

    /// Enters the session into the trail (`audit_sessions`), and tells what became of those before.
    ///
    /// A session is dead when its process has ended without closing it. In one transaction, so exactly once whoever
    /// begins first: each call that it had announced and not ended becomes a record with outcome `unknown`; if
    /// records of it may be lost, a `gap` record tells how many at most, from when to when, of which process and
    /// service, and whether they were counted or may just have been in its queue.
    ///
    /// While the session lasts, a file `<name of the trail>-session-<id>` stands beside the trail, with mode 0600. It is
    /// locked: by that, others see that the session is alive. Leave it alone. If it is deleted all the same, the session
    /// counts as alive as long as its process is seen to run, which it is on Linux, unless in another container.
    ///
    /// # Errors
    ///
    /// As [`write`](Sink::write); when no file can be made beside the trail; and when a session has begun before.
    fn begin(&mut self, session: &Session) -> Result<(), Error> {
        self.check("write to")?;
        let _forks = hold_off_forks();
        if self.work.is_some() {
            return Err(Error::permanent(format!(
                "cannot begin to record in the audit trail `{}`: a recorder works with this store already; open \
                 another one",
                self.path.display()
            )));
        }
        let work = self.by_link("write to", |store, link| {
            Work::begin(session, link, &mut store.writer, &store.path, store.file.id())
        })?;
        self.work = Some(work);
        Ok(())
    }

    /// A reader with a connection of its own, which it opens when it is first asked. It goes on after the
    /// store is closed.
    fn reader(&mut self) -> Result<Option<Box<dyn ChangeReader>>, Error> {
        let reader = Reader::new(self.path.clone(), self.file.clone(), self.options.clone())?;
        self.readers.retain(|reader| reader.strong_count() > 0);
        self.readers.push(Arc::downgrade(reader.slot()));
        Ok(Some(Box::new(reader)))
    }

    /// Ends the session in order, moves what is in the `-wal` file into the trail as far as readers allow, and
    /// closes it.
    fn close(&mut self) -> Result<(), Error> {
        self.home.check("close", &self.path)?;
        let _forks = hold_off_forks();
        let ended = match self.work.take() {
            // In a file that has taken the place of this one, the session has no row.
            Some(work) if self.file.check("close", &self.path).is_ok() => {
                self.by_link("close", |store, link| work.close(link, &store.path))
            }
            _ => Ok(()),
        };
        self.closed = true;
        let closed = self.close_link();
        self.open = None;
        ended.and(closed.map_err(|failure| failure.into_error("close", &self.path)))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        // In a child that was forked, the connection is the parent's: to close it would drop its locks.
        if !self.home.is_here() {
            std::mem::forget(self.link.take());
            return;
        }
        let _forks = hold_off_forks();
        // SQLite would make a checkpoint too, and keep quiet about a sync that fails.
        let _ = self.close_link();
    }
}
