//! [`Counts`]: what a recorder was offered, counted where a kill does not reach it.
//!
//! On Linux the counters are in a file of `/dev/shm`, mapped into the process. What a process has stored there is the
//! kernel's: it stays when the process is killed, and goes with the next boot. The file is written to its end before
//! it is mapped, so that a full `/dev/shm` shows as an error here and never as a `SIGBUS` later.

use std::sync::atomic::AtomicU64;

use uuid::Uuid;

use super::system::Memory;

/// A session's counters, in memory that survives the process where the system has such.
pub struct Counts {
    memory: Memory,
    #[cfg(target_os = "linux")]
    id: Uuid,
    #[cfg(target_os = "linux")]
    home: super::Home,
    /// Locked, so that the page is not taken for one of a process that has died.
    #[cfg(target_os = "linux")]
    _file: Option<std::fs::File>,
}

/// What a session had been offered when its process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counted {
    /// Records taken into the queue.
    pub accepted: u64,
    /// Records not taken: the queue was full or closed.
    pub dropped: u64,
}

impl Counts {
    /// Counters for the session `id` that outlive the process; where that can't be, [private](Self::private) ones.
    ///
    /// It can't be elsewhere than on Linux, without a `/dev/shm` in memory, and when that is full or not to be written.
    #[must_use]
    pub fn shared(id: Uuid) -> Self {
        #[cfg(target_os = "linux")]
        if let Some((memory, file)) = place::create(id) {
            return Self { _file: Some(file), ..Self::new(memory, id) };
        }
        Self::new(Memory::private(), id)
    }

    /// Counters that end with the process.
    #[must_use]
    pub fn private() -> Self {
        Self::new(Memory::private(), Uuid::nil())
    }

    fn new(memory: Memory, id: Uuid) -> Self {
        let _ = id;
        Self {
            memory,
            #[cfg(target_os = "linux")]
            id,
            #[cfg(target_os = "linux")]
            home: super::Home::here(),
            #[cfg(target_os = "linux")]
            _file: None,
        }
    }

    /// Whether the counters outlive the process.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.memory.is_shared()
    }

    /// Records taken into the queue, and those that a caller is just trying to put there.
    #[inline]
    #[must_use]
    pub fn accepted(&self) -> &AtomicU64 {
        &self.memory.accepted.0
    }

    /// Records not taken: the queue was full or closed.
    #[inline]
    #[must_use]
    pub fn dropped(&self) -> &AtomicU64 {
        &self.memory.dropped.0
    }

    /// Deletes what would be left behind: the session has ended in order. The counters stay usable.
    ///
    /// Not done on drop: a session that could not be closed in order is told of by the next start.
    pub fn remove(&self) {
        #[cfg(target_os = "linux")]
        if self.is_shared() && self.home.is_here() {
            forget(self.id);
        }
    }
}

impl std::fmt::Debug for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counts")
            .field("accepted", self.accepted())
            .field("dropped", self.dropped())
            .field("is_shared", &self.is_shared())
            .finish()
    }
}

/// What the session `id` has counted, if its process was this user's, died since the last boot, and had
/// [counters that outlive it](Counts::shared).
///
/// ```
/// use std::sync::atomic::Ordering;
/// use audit_record::process::{self, Counts};
///
/// let id = uuid::Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_4711);
/// let counts = Counts::shared(id);
/// counts.accepted().fetch_add(3, Ordering::Relaxed);
/// if counts.is_shared() {
///     assert_eq!(process::left_behind(id).expect("it is readable").accepted, 3);
/// }
/// process::forget(id);
/// assert_eq!(process::left_behind(id), None);
/// ```
#[must_use]
pub fn left_behind(id: Uuid) -> Option<Counted> {
    place::read(id)
}

/// Deletes what the session `id` has left behind. Without it, that stays until the next boot.
pub fn forget(id: Uuid) {
    place::remove(id);
}

#[cfg(target_os = "linux")]
mod place {
    use std::fs::{self, File, OpenOptions};
    use std::io::Write;
    use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
    use std::path::{Path, PathBuf};

    use uuid::Uuid;

    use super::super::system::{self, Memory, Page};
    use super::Counted;

    const FOLDER: &str = "/dev/shm";
    /// Bytes of the file: the smallest page there is. What it lacks to a larger one is no harm, for the memory of a
    /// file is there up to the end of its last page.
    const SIZE: usize = 4096;
    /// The first bytes of the file; the session's id follows.
    const MARK: [u8; 8] = *b"audited1";
    /// Pages of one user at most. Without a limit, a program that dies again and again, and whose store keeps no
    /// sessions, would fill the memory.
    const PAGES: usize = 256;

    const _: () = assert!(size_of::<Page>() <= SIZE);

    /// A new page for the session, with both counters at 0.
    pub(super) fn create(id: Uuid) -> Option<(Memory, File)> {
        make_room(Path::new(FOLDER), &own_prefix(), PAGES);
        let path = path_of(id);
        // `create_new` follows no symlink, and takes over no file that somebody has put there.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .ok()?;
        let Some(memory) = fill(&mut file, id) else {
            let _ = fs::remove_file(&path);
            return None;
        };
        Some((memory, file))
    }

    fn fill(file: &mut File, id: Uuid) -> Option<Memory> {
        if !system::is_in_memory(file) {
            return None;
        }
        // Best effort: without it, the page may have to give way to others.
        let _ = file.try_lock();
        let mut page = [0; SIZE];
        page[..MARK.len()].copy_from_slice(&MARK);
        page[MARK.len()..][..16].copy_from_slice(id.as_bytes());
        file.write_all(&page).ok()?;
        Memory::shared(file).ok()
    }

    pub(super) fn read(id: Uuid) -> Option<Counted> {
        // Neither a symlink nor a pipe: what waits there may be anybody's.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path_of(id)).ok()?;
        let about = file.metadata().ok()?;
        let is_own = about.is_file() && about.uid() == system::user() && about.mode() & 0o077 == 0;
        if !is_own || about.len() != SIZE as u64 {
            return None;
        }
        let mut page = [0; SIZE];
        // Read, not mapped: whatever becomes of the file meanwhile, it is an error here.
        file.read_exact_at(&mut page, 0).ok()?;
        let is_its = page.starts_with(&MARK) && page[MARK.len()..].starts_with(id.as_bytes());
        is_its.then(|| Counted {
            accepted: number(&page, std::mem::offset_of!(Page, accepted)),
            dropped: number(&page, std::mem::offset_of!(Page, dropped)),
        })
    }

    /// In the order of bytes of this machine: nobody else reads it.
    fn number(page: &[u8; SIZE], at: usize) -> u64 {
        let mut bytes = [0; size_of::<u64>()];
        bytes.copy_from_slice(&page[at..][..size_of::<u64>()]);
        u64::from_ne_bytes(bytes)
    }

    pub(super) fn remove(id: Uuid) {
        let _ = fs::remove_file(path_of(id));
    }

    /// The user is part of the name, so that nobody's page is in another's way.
    fn own_prefix() -> String {
        format!("audited-{}-", system::user())
    }

    fn path_of(id: Uuid) -> PathBuf {
        Path::new(FOLDER).join(format!("{}{}", own_prefix(), id.simple()))
    }

    /// Deletes the oldest pages of processes that have died, until there are less than `most`, or no more of these.
    ///
    /// If their store is opened again all the same, it falls back to what it knows itself.
    pub(in crate::process) fn make_room(folder: &Path, prefix: &str, most: usize) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut pages: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                name.is_some_and(|name| name.starts_with(prefix))
            })
            .collect();
        let mut surplus = (pages.len() + 1).saturating_sub(most);
        // The ids begin with the time at which they were made.
        pages.sort_unstable();
        for page in pages {
            if surplus == 0 {
                break;
            }
            if is_dead(&page) && fs::remove_file(&page).is_ok() {
                surplus -= 1;
            }
        }
    }

    /// Whether nobody holds the lock of the page.
    fn is_dead(page: &Path) -> bool {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(page);
        file.is_ok_and(|file| file.try_lock().is_ok())
    }
}

#[cfg(not(target_os = "linux"))]
mod place {
    use uuid::Uuid;

    use super::Counted;

    pub(super) fn read(_id: Uuid) -> Option<Counted> {
        None
    }

    pub(super) fn remove(_id: Uuid) {}
}

#[cfg(all(test, target_os = "linux"))]
pub(super) use place::make_room;
