//! [`SessionCounters`]: how many records a recorder was offered, in memory that survives a kill.
//!
//! On Linux, the counters are in a file in `/dev/shm` that is mapped into the process. The kernel
//! keeps what was written there when the process is killed, until the next boot. The file is filled
//! before it is mapped. So a full `/dev/shm` causes an error here, and never a `SIGBUS` later.

use std::sync::atomic::AtomicU64;

use uuid::Uuid;

use crate::process::system::Memory;

/// The live counters of one recorder session: accepted and dropped records.
///
/// Where the system allows it, they are in shared memory and outlive the process.
///
/// ```
/// use std::sync::atomic::Ordering;
/// use audit_record::process::SessionCounters;
///
/// let counters = SessionCounters::private();
/// counters.accepted().fetch_add(3, Ordering::Relaxed);
/// assert_eq!(counters.accepted().load(Ordering::Relaxed), 3);
/// assert!(!counters.is_shared());
/// ```
pub struct SessionCounters {
    memory: Memory,
    #[cfg(target_os = "linux")]
    id: Uuid,
    #[cfg(target_os = "linux")]
    owner: super::OwnerProcess,
    /// Locked, so that other processes see that this session is alive.
    #[cfg(target_os = "linux")]
    _file: Option<std::fs::File>,
}

/// The last values of the [`SessionCounters`] of a session whose process has died; see
/// [`read_counters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveredCounters {
    /// Records that were put into the queue.
    pub accepted: u64,
    /// Records that were not accepted, because the queue was full or closed.
    pub dropped: u64,
}

impl SessionCounters {
    /// Counters for the session `id` that outlive the process.
    ///
    /// If that is not possible, they are [private](Self::private). This is the case on other
    /// systems than Linux, and where `/dev/shm` is not in memory, is full, or is not writable.
    #[must_use]
    pub fn shared(id: Uuid) -> Self {
        #[cfg(target_os = "linux")]
        if let Some((memory, file)) = page_file::create(id) {
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
            owner: super::OwnerProcess::current(),
            #[cfg(target_os = "linux")]
            _file: None,
        }
    }

    /// Whether the counters outlive the process.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.memory.is_shared()
    }

    /// Records that were put into the queue, and those that a caller is trying to put there now.
    #[inline]
    #[must_use]
    pub fn accepted(&self) -> &AtomicU64 {
        &self.memory.accepted.0
    }

    /// Records that were not accepted, because the queue was full or closed.
    #[inline]
    #[must_use]
    pub fn dropped(&self) -> &AtomicU64 {
        &self.memory.dropped.0
    }

    /// Removes the shared memory, because the session was closed without losses. The counters
    /// themselves stay usable.
    ///
    /// Dropping does not do this: the next start reports a session that could not be closed.
    pub fn remove(&self) {
        #[cfg(target_os = "linux")]
        if self.is_shared() && self.owner.is_current() {
            remove_counters(self.id);
        }
    }
}

impl std::fmt::Debug for SessionCounters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionCounters")
            .field("accepted", self.accepted())
            .field("dropped", self.dropped())
            .field("is_shared", &self.is_shared())
            .finish()
    }
}

/// Reads the counters of the session `id`, which may be of another process.
///
/// Returns `None` if there are none: the session had no [shared](SessionCounters::shared) counters,
/// they belong to another user, they were removed, or the machine was restarted.
///
/// ```
/// use std::sync::atomic::Ordering;
/// use audit_record::process::{SessionCounters, read_counters, remove_counters};
///
/// let id = uuid::Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_4711);
/// let counters = SessionCounters::shared(id);
/// counters.accepted().fetch_add(3, Ordering::Relaxed);
/// if counters.is_shared() {
///     assert_eq!(read_counters(id).expect("readable").accepted, 3);
/// }
/// remove_counters(id);
/// assert_eq!(read_counters(id), None);
/// ```
#[must_use]
pub fn read_counters(id: Uuid) -> Option<RecoveredCounters> {
    page_file::read(id)
}

/// Deletes the shared counters of the session `id`. Otherwise they stay until the next boot.
pub fn remove_counters(id: Uuid) {
    page_file::remove(id);
}

#[cfg(target_os = "linux")]
mod page_file {
    use std::fs::{self, File, OpenOptions};
    use std::io::Write;
    use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
    use std::path::{Path, PathBuf};

    use uuid::Uuid;

    use super::super::system::{self, Memory, Page};
    use super::RecoveredCounters;

    const FOLDER: &str = "/dev/shm";
    /// The size of the file in bytes: that of the smallest page. On systems with larger pages, the
    /// memory up to the end of the page exists as well.
    const SIZE: usize = 4096;
    /// The first bytes of the file. The id of the session follows.
    const MAGIC: [u8; 8] = *b"audited1";
    /// The maximum number of pages of one user. Without it, a program that crashes again and again
    /// would fill the memory, if its store keeps no sessions.
    const MAX_PAGES: usize = 256;

    const _: () = assert!(size_of::<Page>() <= SIZE);

    /// Creates a page for the session, with both counters at 0.
    pub(super) fn create(id: Uuid) -> Option<(Memory, File)> {
        remove_oldest_pages(Path::new(FOLDER), &own_prefix(), MAX_PAGES);
        let path = path_of(id);
        // `create_new` follows no symlink and opens no file that someone else has created.
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
        // Best effort: without the lock, the page may be removed in favour of newer ones.
        let _ = file.try_lock();
        let mut page = [0; SIZE];
        page[..MAGIC.len()].copy_from_slice(&MAGIC);
        page[MAGIC.len()..][..16].copy_from_slice(id.as_bytes());
        file.write_all(&page).ok()?;
        Memory::shared(file).ok()
    }

    pub(super) fn read(id: Uuid) -> Option<RecoveredCounters> {
        // Do not follow a symlink, and do not block on a pipe: any user can create files here.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path_of(id)).ok()?;
        let metadata = file.metadata().ok()?;
        let is_own =
            metadata.is_file() && metadata.uid() == system::user() && metadata.mode() & 0o077 == 0;
        if !is_own || metadata.len() != SIZE as u64 {
            return None;
        }
        let mut page = [0; SIZE];
        // The page is read, not mapped. So if the file is truncated now, this returns an error.
        file.read_exact_at(&mut page, 0).ok()?;
        let is_of_session =
            page.starts_with(&MAGIC) && page[MAGIC.len()..].starts_with(id.as_bytes());
        is_of_session.then(|| RecoveredCounters {
            accepted: counter_at(&page, std::mem::offset_of!(Page, accepted)),
            dropped: counter_at(&page, std::mem::offset_of!(Page, dropped)),
        })
    }

    /// Counters have the byte order of this machine: no other machine can read them.
    fn counter_at(page: &[u8; SIZE], offset: usize) -> u64 {
        let mut bytes = [0; size_of::<u64>()];
        bytes.copy_from_slice(&page[offset..][..size_of::<u64>()]);
        u64::from_ne_bytes(bytes)
    }

    pub(super) fn remove(id: Uuid) {
        let _ = fs::remove_file(path_of(id));
    }

    /// File names contain the user, so that the files of several users do not conflict.
    fn own_prefix() -> String {
        format!("audited-{}-", system::user())
    }

    fn path_of(id: Uuid) -> PathBuf {
        Path::new(FOLDER).join(format!("{}{}", own_prefix(), id.simple()))
    }

    /// Deletes the oldest pages of dead processes, until fewer than `max_pages` are left.
    ///
    /// If the store of such a session is opened later, it reports the limit of the queue instead of
    /// the exact loss.
    pub(in crate::process) fn remove_oldest_pages(folder: &Path, prefix: &str, max_pages: usize) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut pages: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name = path.file_name().and_then(|name| name.to_str());
                name.is_some_and(|name| name.starts_with(prefix))
            })
            .collect();
        let mut surplus = (pages.len() + 1).saturating_sub(max_pages);
        // The names contain the ids of the sessions, which begin with their time of creation.
        pages.sort_unstable();
        for page in pages {
            if surplus == 0 {
                break;
            }
            if is_unlocked(&page) && fs::remove_file(&page).is_ok() {
                surplus -= 1;
            }
        }
    }

    /// Whether no live process holds the lock of the page.
    fn is_unlocked(page: &Path) -> bool {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(page);
        file.is_ok_and(|file| file.try_lock().is_ok())
    }
}

#[cfg(not(target_os = "linux"))]
mod page_file {
    use uuid::Uuid;

    use super::RecoveredCounters;

    pub(super) fn read(_id: Uuid) -> Option<RecoveredCounters> {
        None
    }

    pub(super) fn remove(_id: Uuid) {}
}

#[cfg(all(test, target_os = "linux"))]
pub(super) use page_file::remove_oldest_pages;
