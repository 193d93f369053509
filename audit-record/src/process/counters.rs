//! [`SessionCounters`]: how many records a recorder was offered, in memory that survives a kill.
//!
//! On Linux, the counters are in shared memory of the kernel. The kernel keeps what was written
//! there when the process is killed, until the next boot. The memory has no name in the file system:
//! a mapped file ends the process with `SIGBUS` when somebody cuts it. A file in `/dev/shm`
//! marks the session, holds its lock, and says which file keeps the counters later.

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
    /// systems than Linux, where the system has no shared memory left, and where `/dev/shm` is not
    /// in memory, is full, or is not writable.
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

/// Deletes the shared counters of the session `id`.
pub fn remove_counters(id: Uuid) {
    page_file::remove(id);
}

/// Says where the counters of the session `id` are kept if its process dies and another recorder
/// [removes](remove_dead_counters) the shared memory: in the file at `path`, which must exist.
///
/// A store passes a file of its own, which it deletes once it has reported the loss. Does nothing if
/// the session has no shared counters.
pub fn keep_counters_in(id: Uuid, path: &std::path::Path) {
    page_file::keep_in(id, path);
}

/// Removes the shared counters of this user's processes that have died.
///
/// Before that, the values are written to the file that [`keep_counters_in`] has named, if it still
/// exists. Whether a process lives is known by a lock that the system releases when it ends. So
/// processes in other containers are recognised too, and counters of other users are left alone.
///
/// ```
/// use std::sync::atomic::Ordering;
/// use audit_record::process::*;
///
/// let id = uuid::Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_4712);
/// let counters = SessionCounters::shared(id);
/// counters.accepted().fetch_add(3, Ordering::Relaxed);
/// let file = tempfile::NamedTempFile::new()?;
/// keep_counters_in(id, file.path());
/// # let is_shared = counters.is_shared();
///
/// remove_dead_counters(); // This process lives.
/// # if is_shared {
/// assert!(read_counters(id).is_some());
/// drop(counters);
/// remove_dead_counters();
/// assert!(read_counters(id).is_none());
/// assert_eq!(read_saved_counters(id, file.path()).expect("saved").accepted, 3);
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn remove_dead_counters() {
    page_file::remove_dead();
}

/// Reads the counters of the session `id` that [`remove_dead_counters`] has written to the file at
/// `path`; `None` if there are none.
#[must_use]
pub fn read_saved_counters(id: Uuid, path: &std::path::Path) -> Option<RecoveredCounters> {
    page_file::read_saved(id, path)
}

#[cfg(target_os = "linux")]
mod page_file {
    use std::fs::{self, File, OpenOptions};
    use std::io::{ErrorKind, Write};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use uuid::Uuid;

    use super::super::system::{self, Memory, segment};
    use super::RecoveredCounters;

    const FOLDER: &str = "/dev/shm";
    /// The size of the file in bytes.
    const SIZE: usize = 4096;
    /// The first bytes of the file and of the memory. The id of the session follows.
    const MAGIC: [u8; 8] = *b"audited1";
    /// Where the page has the length and the path of the file that keeps the counters.
    const KEPT_IN: usize = 512;
    /// An incomplete page that is older than this was left by a process that died.
    const MAX_CREATION_TIME: Duration = Duration::from_secs(60);

    /// Creates a page for the session, with both counters at 0.
    pub(super) fn create(id: Uuid) -> Option<(Memory, File)> {
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
        // Before the page is complete: a complete page without a lock belongs to a dead process.
        file.try_lock().ok()?;
        let mut page = [0; SIZE];
        page[..MAGIC.len()].copy_from_slice(&MAGIC);
        page[MAGIC.len()..][..16].copy_from_slice(id.as_bytes());
        file.write_all(&page).ok()?;
        segment::create(key_of(id), head_of(id)).ok()
    }

    /// The key of the memory: random bits of the id of the session.
    fn key_of(id: Uuid) -> i32 {
        let bytes = id.as_bytes();
        match i32::from_ne_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]) {
            libc::IPC_PRIVATE => 1,
            key => key,
        }
    }

    /// What the memory begins with.
    fn head_of(id: Uuid) -> [u64; 3] {
        let (high, low) = id.as_u64_pair();
        [u64::from_ne_bytes(MAGIC), high, low]
    }

    pub(super) fn read(id: Uuid) -> Option<RecoveredCounters> {
        let values = segment::read(key_of(id))?;
        (values.head == head_of(id))
            .then_some(RecoveredCounters { accepted: values.accepted, dropped: values.dropped })
    }

    /// Opens a file of this user that nobody else can use.
    fn open_own(path: &Path, for_writing: bool) -> Option<File> {
        // Do not follow a symlink, and do not block on a pipe: any user can create files here.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let mut options = OpenOptions::new();
        options.read(true).write(for_writing).custom_flags(flags);
        let file = options.open(path).ok()?;
        let metadata = file.metadata().ok()?;
        let is_own =
            metadata.is_file() && metadata.uid() == system::user() && metadata.mode() & 0o077 == 0;
        is_own.then_some(file)
    }

    /// `None` if the page is not complete.
    fn read_page(file: &File) -> Option<[u8; SIZE]> {
        if file.metadata().ok()?.len() != SIZE as u64 {
            return None;
        }
        let mut page = [0; SIZE];
        // The page is read, not mapped. So if the file is truncated now, this returns an error.
        file.read_exact_at(&mut page, 0).ok()?;
        Some(page)
    }

    fn id_of(page: &[u8]) -> Option<Uuid> {
        let rest = page.strip_prefix(&MAGIC)?;
        Uuid::from_slice(rest.get(..16)?).ok()
    }

    /// Counters have the byte order of this machine: no other machine can read them.
    fn counter_at(saved: &[u8], offset: usize) -> u64 {
        let mut bytes = [0; size_of::<u64>()];
        bytes.copy_from_slice(&saved[offset..][..size_of::<u64>()]);
        u64::from_ne_bytes(bytes)
    }

    pub(super) fn remove(id: Uuid) {
        let _ = fs::remove_file(path_of(id));
        remove_memory(id);
    }

    fn remove_memory(id: Uuid) {
        if read(id).is_some() {
            segment::remove_key(key_of(id));
        }
    }

    /// File names contain the user, so that the files of several users do not conflict.
    fn own_prefix() -> String {
        format!("audited-{}-", system::user())
    }

    fn path_of(id: Uuid) -> PathBuf {
        Path::new(FOLDER).join(format!("{}{}", own_prefix(), id.simple()))
    }

    pub(super) fn keep_in(id: Uuid, path: &Path) {
        let bytes = path.as_os_str().as_bytes();
        let Ok(length) = u16::try_from(bytes.len()) else { return };
        if KEPT_IN + 2 + bytes.len() > SIZE {
            return;
        }
        if let Some(file) = open_own(&path_of(id), true)
            && read_page(&file).is_some_and(|page| id_of(&page) == Some(id))
        {
            // The path first. Until the length is there, the page has no path.
            let _ = file
                .write_all_at(bytes, KEPT_IN as u64 + 2)
                .and_then(|()| file.write_all_at(&length.to_le_bytes(), KEPT_IN as u64));
        }
    }

    fn kept_in(page: &[u8; SIZE]) -> Option<&Path> {
        let (length, path) = page[KEPT_IN..].split_at(2);
        let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
        let path = path.get(..length).filter(|path| !path.is_empty())?;
        Some(Path::new(std::ffi::OsStr::from_bytes(path)))
    }

    pub(super) fn remove_dead() {
        remove_dead_in(Path::new(FOLDER), &own_prefix());
    }

    /// Removes the pages in `folder` whose names begin with `prefix` and whose processes have died.
    pub(in crate::process) fn remove_dead_in(folder: &Path, prefix: &str) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if let Some(id) = name.to_str().and_then(|name| name.strip_prefix(prefix)) {
                remove_if_dead(&entry.path(), Uuid::parse_str(id).ok());
            }
        }
    }

    /// `named` is the session in the name of the file. It counts if the page does not say one.
    fn remove_if_dead(path: &Path, named: Option<Uuid>) {
        let Some(file) = open_own(path, false) else { return };
        // Kept until the page is removed, so that two recorders do not save its counters at once.
        if file.try_lock().is_err() {
            return;
        }
        let page = read_page(&file);
        let can_be_removed = match &page {
            Some(page) => save(page),
            None => is_older_than(&file, MAX_CREATION_TIME),
        };
        if can_be_removed && fs::remove_file(path).is_ok() {
            let id = page.and_then(|page| id_of(&page)).or(named);
            id.into_iter().for_each(remove_memory);
        }
    }

    fn is_older_than(file: &File, age: Duration) -> bool {
        let modified = file.metadata().and_then(|metadata| metadata.modified());
        modified.is_ok_and(|at| at.elapsed().is_ok_and(|elapsed| elapsed > age))
    }

    /// Writes the counters to the file that keeps them. Returns `false` if the page is still needed.
    fn save(page: &[u8; SIZE]) -> bool {
        let (Some(id), Some(path)) = (id_of(page), kept_in(page)) else { return true };
        if fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return true;
        }
        let Some(file) = open_own(path, true) else { return false };
        // If the lock is held, a store is recovering the session right now, and reads the memory.
        if file.try_lock().is_err() {
            return false;
        }
        // Without the memory, there is nothing to save.
        let Some(counters) = read(id) else { return true };
        let mut saved = [0; SAVED_SIZE];
        saved[..8].copy_from_slice(&MAGIC);
        saved[8..24].copy_from_slice(id.as_bytes());
        saved[24..32].copy_from_slice(&counters.accepted.to_ne_bytes());
        saved[32..].copy_from_slice(&counters.dropped.to_ne_bytes());
        file.write_all_at(&saved, 0).is_ok()
    }

    /// The size of saved counters: the first bytes, the session, and the two numbers.
    const SAVED_SIZE: usize = 40;

    pub(super) fn read_saved(id: Uuid, path: &Path) -> Option<RecoveredCounters> {
        let mut saved = [0; SAVED_SIZE];
        open_own(path, false)?.read_exact_at(&mut saved, 0).ok()?;
        let (accepted, dropped) = (counter_at(&saved, 24), counter_at(&saved, 32));
        (id_of(&saved)? == id).then_some(RecoveredCounters { accepted, dropped })
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

    pub(super) fn keep_in(_id: Uuid, _path: &std::path::Path) {}

    pub(super) fn remove_dead() {}

    pub(super) fn read_saved(_id: Uuid, _path: &std::path::Path) -> Option<RecoveredCounters> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
pub(super) use page_file::remove_dead_in;
