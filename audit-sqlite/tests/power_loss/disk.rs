//! A journal of file operations, and the states that a disk may have after a loss of power.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};

use audit_record::Durability;
use fastrand::Rng;

/// A file, independent of its current name.
pub(crate) type Inode = usize;

/// The names and contents of the files in a directory.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The number of bytes that the disk writes as a whole or not at all.
const SECTOR: usize = 512;

/// One operation on a file, or a mark between two operations.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create { inode: Inode, name: String, bytes: Vec<u8> },
    Write { inode: Inode, at: usize, bytes: Vec<u8> },
    Truncate { inode: Inode, size: usize },
    Sync { inode: Inode },
    SyncFailed { inode: Inode },
    SyncDirectory,
    Delete { name: String },
    Mark(Mark),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    /// The n-th batch is being written to the store.
    Offered(usize),
    /// The n-th batch is stored, and acknowledged with this durability.
    Acknowledged(usize, Durability),
}

/// The operations on the files of a directory, in order.
pub(crate) struct Journal {
    directory: PathBuf,
    /// The files at the start, all of them synced.
    pub(crate) before: Files,
    pub(crate) ops: Vec<Op>,
    names: HashMap<String, Inode>,
    inodes: usize,
    /// The syncs that fail, counted from the next one.
    pub(crate) failing_syncs: Range<usize>,
    /// The number of failed syncs of each file.
    failures: HashMap<Inode, usize>,
}

impl Journal {
    pub(crate) fn new(directory: &Path) -> Self {
        let before = read_files(directory);
        // The same order as in `Disk::new`.
        let names: HashMap<_, _> = before.keys().cloned().zip(0..).collect();
        let (directory, inodes) = (directory.to_owned(), names.len());
        let (ops, failures) = (Vec::new(), HashMap::new());
        Self { directory, before, ops, names, inodes, failing_syncs: 0..0, failures }
    }

    /// The file at `path`, which is about to be opened. `None` if it is not in the directory.
    pub(crate) fn open(&mut self, path: &Path) -> Option<Inode> {
        let name = self.name(path)?;
        if let Some(inode) = self.names.get(&name) {
            return Some(*inode);
        }
        let inode = self.inodes;
        self.inodes += 1;
        // The store itself creates the empty file before SQLite opens it.
        let bytes = std::fs::read(path).unwrap_or_default();
        self.names.insert(name.clone(), inode);
        self.ops.push(Op::Create { inode, name, bytes });
        Some(inode)
    }

    pub(crate) fn delete(&mut self, path: &Path) {
        let Some(name) = self.name(path) else { return };
        if self.names.remove(&name).is_some() {
            self.ops.push(Op::Delete { name });
        }
    }

    /// The number of failed syncs of the file, including the current sync if it is to fail.
    pub(crate) fn failures_with_current_sync(&mut self, inode: Inode) -> usize {
        if self.failing_syncs.contains(&0) {
            *self.failures.entry(inode).or_default() += 1;
            self.ops.push(Op::SyncFailed { inode });
        }
        let Range { start, end } = self.failing_syncs;
        self.failing_syncs = start.saturating_sub(1)..end.saturating_sub(1);
        self.failures(inode)
    }

    pub(crate) fn failures(&self, inode: Inode) -> usize {
        self.failures.get(&inode).copied().unwrap_or_default()
    }

    fn name(&self, path: &Path) -> Option<String> {
        // The `-shm` file is mapped, not written, and SQLite rebuilds it after a crash.
        let name = path.file_name()?.to_str().filter(|name| !name.ends_with("-shm"))?;
        (path.parent()? == self.directory).then(|| name.to_owned())
    }
}

/// The files in `directory`, without `-shm` files and directories.
pub(crate) fn read_files(directory: &Path) -> Files {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| !name.ends_with("-shm"))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect()
}

/// Which part of the unsynced changes is lost.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// All of them.
    Everything,
    /// None of it: the process died, but the disk kept its power.
    Nothing,
    /// The latest writes.
    Latest,
    /// The earliest writes: later ones reached the disk first.
    Earliest,
    /// Some random writes.
    Writes,
    /// Some random sectors, so that writes are torn.
    Sectors,
    /// Like `Sectors`. Where a file grew over a lost sector, it holds old data of the disk.
    Garbage,
}

pub(crate) const LOSSES: [Loss; 7] = [
    Loss::Everything,
    Loss::Nothing,
    Loss::Latest,
    Loss::Earliest,
    Loss::Writes,
    Loss::Sectors,
    Loss::Garbage,
];

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate { size: usize },
}

#[derive(Clone, Default)]
struct Content {
    synced: Vec<u8>,
    /// The changes since the last sync.
    unsynced: Vec<Change>,
}

/// The content that is certainly on the disk, and the content that may be.
#[derive(Clone)]
pub(crate) struct Disk {
    contents: Vec<Content>,
    entries: BTreeMap<String, Inode>,
    /// The changes of the directory since its last sync: a name, and the file it was given to.
    unsynced: Vec<(String, Option<Inode>)>,
}

impl Disk {
    /// A disk that holds `files`, all of them synced.
    pub(crate) fn new(files: &Files) -> Self {
        let contents =
            files.values().map(|bytes| Content { synced: bytes.clone(), unsynced: Vec::new() });
        let entries = files.keys().cloned().zip(0..).collect();
        Self { contents: contents.collect(), entries, unsynced: Vec::new() }
    }

    pub(crate) fn apply(&mut self, op: &Op) {
        match op {
            Op::Create { inode, name, bytes } => {
                assert_eq!(*inode, self.contents.len());
                self.contents.push(Content { synced: bytes.clone(), unsynced: Vec::new() });
                self.unsynced.push((name.clone(), Some(*inode)));
            }
            Op::Write { inode, at, bytes } => {
                let change = Change::Write { at: *at, bytes: bytes.clone() };
                self.contents[*inode].unsynced.push(change);
            }
            Op::Truncate { inode, size } => {
                self.contents[*inode].unsynced.push(Change::Truncate { size: *size });
            }
            Op::Sync { inode } => self.contents[*inode].sync(),
            // From now on the system treats the pages as clean, and no later sync writes them.
            Op::SyncFailed { inode } => self.contents[*inode].unsynced.clear(),
            Op::SyncDirectory => {
                for (name, inode) in self.unsynced.drain(..) {
                    set_entry(&mut self.entries, name, inode);
                }
            }
            Op::Delete { name } => self.unsynced.push((name.clone(), None)),
            Op::Mark(_) => {}
        }
    }

    /// The files that are found when the power is back.
    pub(crate) fn after_loss(&self, loss: Loss, rng: &mut Rng) -> Files {
        let mut entries = self.entries.clone();
        let mut lost: Vec<&str> = Vec::new();
        for (name, inode) in &self.unsynced {
            let happened = match loss {
                Loss::Everything => false,
                Loss::Nothing => true,
                _ => rng.bool(),
            };
            // Changes of one name reach the disk in order. Those of different names may not.
            if happened && !lost.contains(&&**name) {
                set_entry(&mut entries, name.clone(), *inode);
            } else {
                lost.push(name);
            }
        }
        let found =
            |(name, inode): (String, Inode)| (name, self.contents[inode].after_loss(loss, rng));
        entries.into_iter().map(found).collect()
    }
}

/// Makes `name` refer to `inode`, or removes it.
fn set_entry(entries: &mut BTreeMap<String, Inode>, name: String, inode: Option<Inode>) {
    match inode {
        Some(inode) => entries.insert(name, inode),
        None => entries.remove(&name),
    };
}

impl Content {
    fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            change.apply(&mut self.synced, |_| true, 0);
        }
    }

    fn after_loss(&self, loss: Loss, rng: &mut Rng) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        let count = self.unsynced.len();
        let turn = rng.usize(..=count);
        let kept = [10, 50, 90][rng.usize(..3)];
        let garbage = if matches!(loss, Loss::Garbage) { rng.u8(1..) } else { 0 };
        for (n, change) in self.unsynced.iter().enumerate() {
            let mut by_chance = || rng.u32(..100) < kept;
            match loss {
                Loss::Everything => {}
                Loss::Nothing => change.apply(&mut bytes, |_| true, 0),
                Loss::Latest if n < turn => change.apply(&mut bytes, |_| true, 0),
                // The write at the moment of the loss is torn.
                Loss::Latest if n == turn => change.apply(&mut bytes, |_| by_chance(), 0),
                Loss::Earliest if n >= turn => change.apply(&mut bytes, |_| true, 0),
                Loss::Latest | Loss::Earliest => {}
                Loss::Writes => {
                    let whole = by_chance();
                    change.apply(&mut bytes, |_| whole, 0);
                }
                Loss::Sectors | Loss::Garbage => {
                    change.apply(&mut bytes, |_| by_chance(), garbage);
                }
            }
        }
        bytes
    }
}

impl Change {
    /// Applies those sectors of the change that are `kept`. Where the file grows over a lost
    /// sector, it is filled with `filler`.
    fn apply(&self, file: &mut Vec<u8>, mut kept: impl FnMut(usize) -> bool, filler: u8) {
        match self {
            Self::Truncate { size } if kept(0) => file.resize(*size, 0),
            Self::Truncate { .. } => {}
            Self::Write { at, bytes } => {
                let end = at + bytes.len();
                for sector in at / SECTOR..end.div_ceil(SECTOR) {
                    if !kept(sector) {
                        continue;
                    }
                    let from = (sector * SECTOR).max(*at);
                    let to = ((sector + 1) * SECTOR).min(end);
                    if file.len() < to {
                        file.resize(from.max(file.len()), filler);
                        file.resize(to.max(file.len()), 0);
                    }
                    file[from..to].copy_from_slice(&bytes[from - at..to - at]);
                }
            }
        }
    }
}
