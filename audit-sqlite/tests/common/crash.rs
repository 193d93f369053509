//! A workload whose files are watched, and what must be found of it after a loss of power.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

use audit_record::store::Sink as _;
use audit_record::store::{Batch, Session};
use audit_record::{Durability, Kind, Outcome, Record};
use audit_sqlite::SqliteStore;
use fastrand::Rng;
use rusqlite::Connection;
use uuid::Uuid;

use crate::common::{at, event, full, read};
use crate::journal::{Disk, Files, Journal, LOSSES, Loss, Mark, Op};
use crate::vfs;

/// The name of the trail in every directory.
pub(crate) const NAME: &str = "audit.db";

/// How a workload differs from the usual one.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setup {
    /// The database is another program's, with this journal mode.
    pub(crate) shared: Option<&'static str>,
    /// The batches are acknowledged as this, whatever they were stored as: a store that lies.
    pub(crate) claimed: Option<Durability>,
    /// Some sync fails.
    pub(crate) fails: bool,
}

/// One batch as it was offered.
#[derive(Default)]
struct Offered {
    actions: Vec<String>,
    changes: usize,
    /// What is about to happen, by its action.
    intends: Vec<String>,
    /// Which of these its records have brought to an end.
    ends: Vec<String>,
}

/// What a workload did.
pub(crate) struct Recorded {
    pub(crate) journal: Journal,
    batches: Vec<Offered>,
    sessions: Vec<Uuid>,
    setup: Setup,
}

struct Workload<'w> {
    path: &'w Path,
    setup: Setup,
    rng: Rng,
    stores: Vec<SqliteStore>,
    batches: Vec<Offered>,
    sessions: Vec<Uuid>,
    /// Whether a sync of somebody else's tool has failed: what its next checkpoint does to the trail is in nobody's hands.
    tool_failed: bool,
    /// Intents that no record has closed yet, by the store that has them: its own end leaves them to the next start.
    open: Vec<Vec<Record>>,
}

/// Runs some sixty steps that `seed` decides in `directory`, and returns what happened to the files.
pub(crate) fn run(directory: &Path, seed: u64, setup: Setup) -> Recorded {
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
        rng: Rng::with_seed(seed),
        stores: Vec::new(),
        batches: Vec::new(),
        sessions: Vec::new(),
        tool_failed: false,
        open: Vec::new(),
    };
    let journal = vfs::record(directory, || workload.run());
    let Workload { batches, sessions, .. } = workload;
    Recorded { journal, batches, sessions, setup }
}

pub(crate) fn open(path: &Path, setup: Setup) -> Result<SqliteStore, audit_record::Error> {
    SqliteStore::builder().shared(setup.shared.is_some()).open(path)
}

impl Workload<'_> {
    fn run(&mut self) {
        for step in 0..60 {
            if self.setup.fails && step == 20 {
                vfs::fail_sync(self.rng.usize(..12));
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
        let session = Session::new(8);
        self.sessions.push(session.id);
        let begun = store.begin(&session);
        let begun = if self.setup.fails { begun.or_else(|_| store.begin(&session)) } else { begun };
        begun.unwrap();
        self.stores.push(store);
        self.open.push(Vec::new());
    }

    fn close(&mut self) {
        let n = self.rng.usize(..self.stores.len());
        let mut store = self.stores.swap_remove(n);
        self.open.swap_remove(n);
        // Some programs end without.
        if self.rng.bool() && !self.setup.fails {
            store.close().unwrap();
        }
    }

    /// Somebody's tool moves the log into the database, as the store itself would after thousands of records.
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
        let mut offered = Offered::default();
        let mut records = Vec::new();
        for n in 0..self.rng.usize(1..6) {
            let mut record = self.record(format!("batch {number} record {n}"));
            let open = &mut self.open[store];
            if !open.is_empty() && self.rng.u32(..3) == 0 {
                record = open.swap_remove(self.rng.usize(..open.len()));
                record.outcome = Outcome::Success;
                offered.ends.push(record.action.to_string());
            }
            offered.changes += record.changes.len();
            offered.actions.push(record.action.to_string());
            records.push(record);
        }
        let count = self.rng.usize(..3);
        let intents: Vec<Record> =
            (0..count).map(|n| self.intent(format!("intent {number} {n}"))).collect();
        offered.intends = intents.iter().map(|intent| intent.action.to_string()).collect();
        self.open[store].extend(intents.iter().cloned());
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

    /// By the seed too, so that a state that was found wrong can be looked at again.
    fn id(&mut self) -> Uuid {
        let millis = at().timestamp_millis().unsigned_abs();
        uuid::Builder::from_unix_timestamp_millis(
            millis,
            &self.rng.u128(..).to_be_bytes()[..10].try_into().unwrap(),
        )
        .into_uuid()
    }

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

/// What is sure to be found at some moment.
#[derive(Clone, Copy, Default)]
struct Promised {
    /// So many batches were offered, and may be there.
    offered: usize,
    /// So many must be there.
    safe: usize,
}

impl Promised {
    fn note(&mut self, mark: Mark) {
        match mark {
            Mark::Offered(number) => self.offered = number + 1,
            Mark::Acknowledged(number, Durability::Power) => self.safe = number + 1,
            Mark::Acknowledged(..) => {}
        }
    }
}

/// A state that a loss of power leaves, and what is wrong with it.
#[derive(Debug)]
#[allow(dead_code, reason = "shown when a test fails")]
pub(crate) struct Wrong {
    cut: usize,
    after: String,
    loss: Loss,
    again: Option<usize>,
    what: String,
}

/// Cuts the power `states` times, at moments that `seed` decides, each time as if it were the first; in one of
/// eight, once more while the trail is opened after that. Returns how many states were looked at, and what was
/// wrong with them.
pub(crate) fn cut_power(
    recorded: &Recorded,
    seed: u64,
    states: usize,
    work: &Path,
) -> (usize, Vec<Wrong>) {
    let mut rng = Rng::with_seed(seed);
    let ops = &recorded.journal.ops;
    let acknowledged: Vec<usize> = (0..ops.len())
        .filter(|n| matches!(ops[*n], Op::Mark(Mark::Acknowledged(..))))
        .map(|n| n + 1)
        .collect();
    let mut cuts: Vec<usize> = (0..states)
        .map(|n| {
            // Every third right after a promise was made: that is when most can be lost.
            let random = rng.usize(..=ops.len());
            if n % 3 == 0 { *rng.choice(&acknowledged).unwrap_or(&random) } else { random }
        })
        .collect();
    cuts.sort_unstable();
    let mut disk = Disk::new(&recorded.journal.before);
    let (mut promised, mut done) = (Promised::default(), 0);
    let (mut looked_at, mut wrong) = (0, Vec::new());
    for (n, cut) in cuts.into_iter().enumerate() {
        for op in &ops[done..cut] {
            disk.apply(op);
            if let Op::Mark(mark) = op {
                promised.note(*mark);
            }
        }
        done = cut;
        let loss = LOSSES[rng.usize(..LOSSES.len())];
        let files = disk.after_loss(loss, &mut rng);
        let again = (n % 8 == 0).then_some(&mut rng);
        let survived = recorded.survive(&files, promised, again, work, &mut looked_at);
        if let Err((again, what)) = survived {
            let after = cut.checked_sub(1).map_or(String::new(), |last| name(&ops[last]));
            wrong.push(Wrong { cut, after, loss, again, what });
        }
    }
    (looked_at, wrong)
}

fn name(op: &Op) -> String {
    let text = format!("{op:?}");
    text.split("bytes").next().unwrap_or_default().to_owned()
}

impl Recorded {
    /// Opens what is left in `files`, and checks it; with `again`, loses power during that too.
    fn survive(
        &self,
        files: &Files,
        promised: Promised,
        again: Option<&mut Rng>,
        work: &Path,
        looked_at: &mut usize,
    ) -> Result<(), (Option<usize>, String)> {
        let plain = |error: Box<dyn Error>| (None, error.to_string());
        self.put(files, work);
        *looked_at += 1;
        let Some(rng) = again else {
            return self.check(promised, work).map(drop).map_err(plain);
        };
        let mut found = Ok(0);
        let opening = vfs::record(work, || found = self.check(promised, work));
        // What was found once was on the disk, and must not be lost by looking at it.
        let safe = found.map_err(plain)?;
        let promised = Promised { safe: promised.safe.max(safe), ..promised };
        let mut disk = Disk::new(&opening.before);
        for (n, op) in opening.ops.iter().enumerate() {
            if rng.u32(..8) == 0 {
                let loss = LOSSES[rng.usize(..LOSSES.len())];
                self.put(&disk.after_loss(loss, rng), work);
                *looked_at += 1;
                self.check(promised, work).map_err(|error| (Some(n), error.to_string()))?;
            }
            disk.apply(op);
        }
        Ok(())
    }

    /// Makes `directory` hold `files` and nothing else.
    fn put(&self, files: &Files, directory: &Path) {
        for entry in std::fs::read_dir(directory).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (name, bytes) in files {
            std::fs::write(directory.join(name), bytes).unwrap();
        }
        // The process that ran the workload still lives; that nobody holds their locks shows that these sessions don't.
        for session in &self.sessions {
            let name = format!("{NAME}-session-{}", session.simple());
            std::fs::write(directory.join(name), "").unwrap();
        }
    }

    /// Opens the trail in `directory`, and returns how many batches it holds, if that is right.
    fn check(&self, promised: Promised, directory: &Path) -> Result<usize, Box<dyn Error>> {
        let path = directory.join(NAME);
        if self.setup.shared.is_some() {
            recover_as_owner(&path)?;
        }
        let mut store = open(&path, self.setup)?;
        store.begin(&Session::new(8))?;
        let last = [event("after the crash")];
        let mut batch = Batch::new(&last);
        batch.durability = Durability::Power;
        store.write_batch(&batch)?;
        let found = Found::read(&path)?;
        drop(store);
        self.compare(promised, &found)
    }

    fn compare(&self, promised: Promised, found: &Found) -> Result<usize, Box<dyn Error>> {
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
                return Err(format!("batch {count} is not whole: {rest:?}").into());
            };
            rest = after;
            count += 1;
            changes += batch.changes;
            open.extend(batch.intends.iter().cloned());
            batch.ends.iter().for_each(|action| assert!(open.remove(action)));
        }
        if count < promised.safe {
            let safe = promised.safe;
            return Err(format!("{safe} batches were acknowledged, {count} are there").into());
        }
        let expected: BTreeMap<String, usize> =
            open.into_iter().map(|action| (action, 1)).collect();
        if found.unknown != expected {
            return Err(format!("open were {expected:?}, closed are {:?}", found.unknown).into());
        }
        if found.changes != changes {
            return Err(format!("{changes} changes became {}", found.changes).into());
        }
        Ok(count)
    }
}

/// A program that shares its database opens it first.
fn recover_as_owner(path: &Path) -> rusqlite::Result<()> {
    read(path).query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// What stands in a trail.
struct Found {
    integrity: String,
    /// The records of the workload.
    actions: Vec<String>,
    /// The calls whose end is unknown, and how many records say so.
    unknown: BTreeMap<String, usize>,
    changes: usize,
}

impl Found {
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
                // What a store adds of its own: what dead recorders may have lost.
                _ => {}
            }
        }
        if last == 0 {
            return Err("what was written after the crash is not there".into());
        }
        Ok(Self { integrity, actions, unknown, changes })
    }
}
