//! A random workload whose file operations are recorded, and the checks of the trail after a loss
//! of power.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

use audit_record::store::Store as _;
use audit_record::store::{Batch, RecorderSession};
use audit_record::{Durability, Kind, Outcome, Record};
use audit_sqlite::SqliteStore;
use fastrand::Rng;
use rusqlite::Connection;
use uuid::Uuid;

use crate::common::{at, event, full, read};
use crate::cut::Promised;
use crate::disk::{Disk, Files, Journal, LOSSES, Mark};
use crate::vfs;

/// The file name of the trail in every directory.
pub(crate) const NAME: &str = "audit.db";

/// How a workload differs from the default one.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setup {
    /// The database belongs to another program, and has this journal mode.
    pub(crate) shared: Option<&'static str>,
    /// The durability with which the batches are acknowledged, independent of their real one.
    pub(crate) claimed: Option<Durability>,
    /// Whether a sync fails.
    pub(crate) fails: bool,
}

/// One batch as it was written to the store.
#[derive(Default)]
struct OfferedBatch {
    actions: Vec<String>,
    changes: usize,
    /// The actions of the intents in the batch.
    intents: Vec<String>,
    /// The actions of the intents that the records of the batch close.
    closed_intents: Vec<String>,
}

/// The recording of a workload.
pub(crate) struct RecordedWorkload {
    pub(crate) journal: Journal,
    batches: Vec<OfferedBatch>,
    sessions: Vec<Uuid>,
    setup: Setup,
}

struct Workload<'w> {
    path: &'w Path,
    setup: Setup,
    /// How many syncs fail, one after the other, if any does.
    failures: usize,
    rng: Rng,
    stores: Vec<SqliteStore>,
    batches: Vec<OfferedBatch>,
    sessions: Vec<Uuid>,
    /// Whether a sync of an external tool has failed. The store cannot control what a later
    /// checkpoint of such a tool does to the trail.
    tool_failed: bool,
    /// The open intents of each store. If a store ends, they remain for the next start.
    open_intents: Vec<Vec<Record>>,
}

/// Runs sixty random steps in `directory`, chosen by `seed`, and records the file operations.
pub(crate) fn run(directory: &Path, seed: u64, setup: Setup) -> RecordedWorkload {
    let path = directory.join(NAME);
    if let Some(mode) = setup.shared {
        let owner = Connection::open(&path).unwrap();
        let sql =
            format!("PRAGMA journal_mode = {mode}; CREATE TABLE orders (id INTEGER PRIMARY KEY)");
        owner.execute_batch(&sql).unwrap();
    }
    let mut workload = Workload {
        path: &path,
        setup,
        failures: if seed.is_multiple_of(3) { 2 } else { 1 },
        rng: Rng::with_seed(seed),
        stores: Vec::new(),
        batches: Vec::new(),
        sessions: Vec::new(),
        tool_failed: false,
        open_intents: Vec::new(),
    };
    let journal = vfs::record(directory, || workload.run());
    let Workload { batches, sessions, .. } = workload;
    RecordedWorkload { journal, batches, sessions, setup }
}

pub(crate) fn open(path: &Path, setup: Setup) -> Result<SqliteStore, audit_record::Error> {
    SqliteStore::builder().shared(setup.shared.is_some()).open(path)
}

impl Workload<'_> {
    fn run(&mut self) {
        for step in 0..60 {
            if self.setup.fails && step == 20 {
                let first = self.rng.usize(..12);
                vfs::fail_syncs(first..first + self.failures);
            }
            match self.rng.u32(..100) {
                _ if self.stores.is_empty() => self.open(),
                0..5 if self.stores.len() < 3 => self.open(),
                5..10 => self.close(),
                10..18 => self.checkpoint(),
                _ => self.write(),
            }
        }
        self.stores.clear();
    }

    fn open(&mut self) {
        let mut store = open(self.path, self.setup).unwrap();
        let session = RecorderSession::new(8);
        self.sessions.push(session.id);
        let begun = store.begin(&session);
        let begun = if self.setup.fails { begun.or_else(|_| store.begin(&session)) } else { begun };
        begun.unwrap();
        self.stores.push(store);
        self.open_intents.push(Vec::new());
    }

    fn close(&mut self) {
        let n = self.rng.usize(..self.stores.len());
        let mut store = self.stores.swap_remove(n);
        self.open_intents.swap_remove(n);
        // Some programs end without a close.
        if self.rng.bool() && !self.setup.fails {
            store.close().unwrap();
        }
    }

    /// An external tool runs a checkpoint. The store itself would only do so after thousands of
    /// records.
    fn checkpoint(&mut self) {
        if self.tool_failed {
            return;
        }
        let mode = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][self.rng.usize(..4)];
        let tool = read(self.path);
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let result = tool.query_row(&sql, [], |_| Ok(()));
        self.tool_failed = result.is_err();
        assert!(!self.tool_failed || self.setup.fails, "{result:?}");
    }

    fn write(&mut self) {
        let number = self.batches.len();
        let store = self.rng.usize(..self.stores.len());
        let mut offered = OfferedBatch::default();
        let mut records = Vec::new();
        for n in 0..self.rng.usize(1..6) {
            let mut record = self.record(format!("batch {number} record {n}"));
            let open = &mut self.open_intents[store];
            if !open.is_empty() && self.rng.u32(..3) == 0 {
                record = open.swap_remove(self.rng.usize(..open.len()));
                record.outcome = Outcome::Success;
                offered.closed_intents.push(record.action.to_string());
            }
            offered.changes += record.changes.len();
            offered.actions.push(record.action.to_string());
            records.push(record);
        }
        let count = self.rng.usize(..3);
        let intents: Vec<Record> =
            (0..count).map(|n| self.intent(format!("intent {number} {n}"))).collect();
        offered.intents = intents.iter().map(|intent| intent.action.to_string()).collect();
        self.open_intents[store].extend(intents.iter().cloned());
        self.batches.push(offered);
        self.offer(store, number, &records, &intents);
    }

    fn record(&mut self, action: String) -> Record {
        let mut record = event(&action);
        record.id = self.id();
        record.actor = Some(format!("actor {}", self.rng.u32(..40)).into());
        if self.rng.u32(..4) == 0 {
            record.changes = full().changes;
        }
        if self.rng.u32(..8) == 0 {
            // More than a page.
            record.reason = Some("why ".repeat(self.rng.usize(..3_000)));
        }
        record
    }

    fn intent(&mut self, action: String) -> Record {
        let mut record = Record::new(Kind::Call, action, at());
        record.id = self.id();
        record.outcome = Outcome::Unknown;
        record
    }

    /// A random id that depends on the seed, so that a failure can be reproduced.
    fn id(&mut self) -> Uuid {
        let millis = at().timestamp_millis().unsigned_abs();
        uuid::Builder::from_unix_timestamp_millis(
            millis,
            &self.rng.u128(..).to_be_bytes()[..10].try_into().unwrap(),
        )
        .into_uuid()
    }

    /// Writes a batch with a random durability, and repeats that until the store accepts it.
    fn offer(&mut self, store: usize, number: usize, records: &[Record], intents: &[Record]) {
        let mut batch = Batch::new(records);
        batch.intents = intents;
        batch.durability =
            [Durability::Queued, Durability::Process, Durability::Power][self.rng.usize(..3)];
        let claimed = self.setup.claimed.unwrap_or(batch.durability);
        vfs::mark(Mark::Offered(number));
        loop {
            match self.stores[store].write_batch(&batch) {
                Ok(()) => break,
                Err(error) => assert!(self.setup.fails && error.is_transient(), "{error:?}"),
            }
        }
        vfs::mark(Mark::Acknowledged(number, claimed));
    }
}

impl RecordedWorkload {
    /// Opens the trail in `files`, and checks it. With `second_loss`, also loses power during that.
    pub(crate) fn check_state(
        &self,
        files: &Files,
        promised: Promised,
        second_loss: Option<&mut Rng>,
        work: &Path,
        checked: &mut usize,
    ) -> Result<(), (Option<usize>, String)> {
        let plain = |error: Box<dyn Error>| (None, error.to_string());
        self.restore(files, work);
        *checked += 1;
        let Some(rng) = second_loss else {
            return self.check(promised, work).map(drop).map_err(plain);
        };
        let mut found = Ok(0);
        let opening = vfs::record(work, || found = self.check(promised, work));
        // Batches that were found once were on the disk, so opening the trail must not lose them.
        let safe = found.map_err(plain)?;
        let promised = Promised { safe: promised.safe.max(safe), ..promised };
        let mut disk = Disk::new(&opening.before);
        for (n, op) in opening.ops.iter().enumerate() {
            if rng.u32(..8) == 0 {
                let loss = LOSSES[rng.usize(..LOSSES.len())];
                self.restore(&disk.after_loss(loss, rng), work);
                *checked += 1;
                self.check(promised, work).map_err(|error| (Some(n), error.to_string()))?;
            }
            disk.apply(op);
        }
        Ok(())
    }

    /// Replaces the content of `directory` by `files`.
    fn restore(&self, files: &Files, directory: &Path) {
        for entry in std::fs::read_dir(directory).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (name, bytes) in files {
            std::fs::write(directory.join(name), bytes).unwrap();
        }
        // The process that ran the workload is still alive. Unlocked lock files show that its
        // sessions are not.
        for session in &self.sessions {
            let name = format!("{NAME}-session-{}", session.simple());
            std::fs::write(directory.join(name), "").unwrap();
        }
    }

    /// Opens and checks the trail in `directory`. Returns how many batches it holds.
    fn check(&self, promised: Promised, directory: &Path) -> Result<usize, Box<dyn Error>> {
        let path = directory.join(NAME);
        if self.setup.shared.is_some() {
            open_as_host(&path)?;
        }
        let mut store = open(&path, self.setup)?;
        store.begin(&RecorderSession::new(8))?;
        let last = [event("after the crash")];
        let mut batch = Batch::new(&last);
        batch.durability = Durability::Power;
        store.write_batch(&batch)?;
        let found = FoundContent::read(&path)?;
        drop(store);
        self.compare(promised, &found)
    }

    fn compare(&self, promised: Promised, found: &FoundContent) -> Result<usize, Box<dyn Error>> {
        if found.integrity != "ok" {
            return Err(found.integrity.clone().into());
        }
        let (mut count, mut changes, mut open) = (0, 0, BTreeSet::new());
        let mut rest = &found.actions[..];
        while !rest.is_empty() {
            let Some(batch) = self.batches[..promised.offered].get(count) else {
                return Err(format!("more than was offered: {rest:?}").into());
            };
            let Some(after) = rest.strip_prefix(&batch.actions[..]) else {
                return Err(format!("batch {count} is incomplete: {rest:?}").into());
            };
            rest = after;
            count += 1;
            changes += batch.changes;
            open.extend(batch.intents.iter().cloned());
            batch.closed_intents.iter().for_each(|action| assert!(open.remove(action)));
        }
        if count < promised.safe {
            let safe = promised.safe;
            return Err(format!("{safe} batches were acknowledged, {count} are stored").into());
        }
        let expected: BTreeMap<String, usize> =
            open.into_iter().map(|action| (action, 1)).collect();
        if found.unknown != expected {
            let unknown = &found.unknown;
            return Err(format!("open intents: {expected:?}, unknown calls: {unknown:?}").into());
        }
        if found.changes != changes {
            return Err(format!("{changes} changes became {}", found.changes).into());
        }
        Ok(count)
    }
}

/// Opens the database as its host does before the store.
fn open_as_host(path: &Path) -> rusqlite::Result<()> {
    read(path).query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// The content of a trail.
struct FoundContent {
    integrity: String,
    /// The records of the workload.
    actions: Vec<String>,
    /// The calls with unknown outcome, and the number of their records.
    unknown: BTreeMap<String, usize>,
    changes: usize,
}

impl FoundContent {
    fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let trail = read(path);
        let one = |sql: &str| trail.query_row(sql, [], |row| row.get(0));
        let integrity = one("PRAGMA integrity_check")?;
        let changes = trail
            .query_row("SELECT count(*) FROM audit_changes", [], |row| row.get::<_, i64>(0))?
            as usize;
        let (mut actions, mut unknown) = (Vec::new(), BTreeMap::new());
        let mut statement = trail.prepare(
            "SELECT seq, action, iif(kind = 'gap', kind, outcome) FROM audit_log ORDER BY seq",
        )?;
        let mut rows = statement.query([])?;
        let (mut seq, mut last) = (0, 0);
        while let Some(row) = rows.next()? {
            seq += 1;
            if row.get::<_, i64>(0)? != seq {
                return Err(
                    format!("seq goes from {} to {}", seq - 1, row.get::<_, i64>(0)?).into()
                );
            }
            let (action, outcome): (String, String) = (row.get(1)?, row.get(2)?);
            match (&*action, &*outcome) {
                ("after the crash", _) => last += 1,
                (_, "unknown") => *unknown.entry(action).or_default() += 1,
                (action, _) if action.starts_with("batch ") || action.starts_with("intent ") => {
                    actions.push(action.to_owned());
                }
                // Gap records, which the store itself adds for dead sessions.
                _ => {}
            }
        }
        if last == 0 {
            return Err("the record written after the crash is missing".into());
        }
        Ok(Self { integrity, actions, unknown, changes })
    }
}
