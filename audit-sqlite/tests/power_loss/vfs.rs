//! A VFS for SQLite that passes all calls on to the system's VFS, and keeps a [`Journal`] of the
//! operations that change files.
//!
//! Each thread has its own journal, and only inside [`record`]. The store starts no threads, so the
//! journal is complete. Files opened at other times belong to the system's VFS.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ops::Range;
use std::path::Path;
use std::ptr;
use std::sync::Once;

use rusqlite::ffi::{self, sqlite3_file, sqlite3_io_methods, sqlite3_vfs};

use crate::disk::{Inode, Journal, Mark, Op};

thread_local! {
    static JOURNAL: RefCell<Option<Journal>> = const { RefCell::new(None) };
}

/// Runs `work`, and returns the journal of its operations on the files in `directory`.
pub(crate) fn record(directory: &Path, work: impl FnOnce()) -> Journal {
    install();
    JOURNAL.set(Some(Journal::new(directory)));
    work();
    JOURNAL.take().expect("the journal set above")
}

/// Adds a mark to the journal.
pub(crate) fn mark(mark: Mark) {
    with_journal(|journal| journal.ops.push(Op::Mark(mark)));
}

/// Makes these syncs from now fail, counted from 0. The data that they should write is lost.
pub(crate) fn fail_syncs(failing: Range<usize>) {
    with_journal(|journal| journal.failing_syncs = failing);
}

fn with_journal<T>(note: impl FnOnce(&mut Journal) -> T) {
    JOURNAL.with_borrow_mut(|journal| journal.as_mut().map(note));
}

/// An open file: the part that SQLite sees, our data, and behind that the file of the system's VFS.
#[repr(C)]
struct File {
    base: sqlite3_file,
    inode: Inode,
    /// How many failed syncs this open file has reported. Like the system, it reports each once.
    failures: usize,
    /// Whether the next sync also syncs the directory. The system's VFS does that once for each log
    /// or journal that it opens.
    syncs_directory: bool,
}

const INNER: usize = size_of::<File>().next_multiple_of(16);

/// # Safety
///
/// `file` must have been opened by [`open`] inside [`record`].
unsafe fn inner(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: `install` makes SQLite allocate `INNER` bytes more than the system's file needs.
    unsafe { file.byte_add(INNER) }
}

/// Calls a method of the system's file.
macro_rules! pass_on {
    ($method:ident($file:expr $(, $argument:expr)*)) => {{
        // SAFETY: SQLite only calls methods of open files, with valid arguments. The system's VFS
        // has all methods of version 3.
        unsafe {
            let file = inner($file);
            ((*(*file).pMethods).$method.expect("a method of version 3"))(file $(, $argument)*)
        }
    }};
}

/// Records what the store itself does to the log, past SQLite. It writes with `write`, which SQLite
/// never calls, and syncs with `fsync`, which SQLite calls only inside [`sync`].
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod past_sqlite {
    use std::cell::Cell;
    use std::ffi::{c_int, c_void};
    use std::mem::transmute;
    use std::path::PathBuf;

    use libc::{RTLD_NEXT, SEEK_CUR, size_t, ssize_t};

    use super::with_journal;
    use crate::disk::{Inode, Op};

    thread_local! {
        pub(super) static IN_SQLITE: Cell<bool> = const { Cell::new(false) };
    }

    /// The inode of the file, if it is a log in the recorded directory.
    fn log(fd: c_int) -> Option<Inode> {
        let mut found = None;
        if !IN_SQLITE.get() {
            with_journal(|journal| {
                let path: PathBuf = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
                let name = path.file_name()?.to_str()?;
                found = name.ends_with("-wal").then(|| journal.open(&path)).flatten();
                Some(())
            });
        }
        found
    }

    /// # Safety
    ///
    /// The same as for the function of this name in the C library.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, size: size_t) -> ssize_t {
        type Write = unsafe extern "C" fn(c_int, *const c_void, size_t) -> ssize_t;
        // SAFETY: the library has a function of this name and type. Passes on the caller's
        // arguments.
        let written = unsafe {
            transmute::<*mut c_void, Write>(libc::dlsym(RTLD_NEXT, c"write".as_ptr()))(
                fd, buffer, size,
            )
        };
        if let (Some(inode), Ok(count)) = (log(fd), usize::try_from(written)) {
            // SAFETY: the caller's buffer holds the written bytes, and the file is open.
            let (bytes, end) = unsafe {
                let bytes = std::slice::from_raw_parts(buffer.cast::<u8>(), count);
                (bytes.to_vec(), libc::lseek(fd, 0, SEEK_CUR) as usize)
            };
            with_journal(|journal| journal.ops.push(Op::Write { inode, at: end - count, bytes }));
        }
        written
    }

    /// # Safety
    ///
    /// The same as for the function of this name in the C library.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn fsync(fd: c_int) -> c_int {
        type Sync = unsafe extern "C" fn(c_int) -> c_int;
        if let Some(inode) = log(fd) {
            let mut fails = false;
            with_journal(|journal| {
                // The file was just opened, so it only reports a failure of this sync.
                fails = journal.failures(inode) < journal.failures_with_current_sync(inode);
                if !fails {
                    journal.ops.push(Op::Sync { inode });
                }
            });
            if fails {
                // SAFETY: `errno` belongs to the calling thread.
                unsafe { *libc::__errno_location() = libc::EIO };
                return -1;
            }
        }
        // SAFETY: the library has a function of this name and type. Passes on the caller's
        // argument.
        unsafe { transmute::<*mut c_void, Sync>(libc::dlsym(RTLD_NEXT, c"fsync".as_ptr()))(fd) }
    }
}

macro_rules! passed_on {
    ($($name:ident = $method:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $argument: $type)*) $(-> $result)? {
            pass_on!($method(file $(, $argument)*))
        }
    )*};
}

passed_on! {
    close = xClose() -> c_int;
    read = xRead(buffer: *mut c_void, amount: c_int, at: i64) -> c_int;
    file_size = xFileSize(size: *mut i64) -> c_int;
    lock = xLock(level: c_int) -> c_int;
    unlock = xUnlock(level: c_int) -> c_int;
    check_reserved_lock = xCheckReservedLock(out: *mut c_int) -> c_int;
    file_control = xFileControl(op: c_int, argument: *mut c_void) -> c_int;
    sector_size = xSectorSize() -> c_int;
    device_characteristics = xDeviceCharacteristics() -> c_int;
    shm_map = xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void) -> c_int;
    shm_lock = xShmLock(offset: c_int, n: c_int, flags: c_int) -> c_int;
    shm_barrier = xShmBarrier();
    shm_unmap = xShmUnmap(delete: c_int) -> c_int;
    fetch = xFetch(at: i64, amount: c_int, out: *mut *mut c_void) -> c_int;
    unfetch = xUnfetch(at: i64, page: *mut c_void) -> c_int;
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    buffer: *const c_void,
    amount: c_int,
    at: i64,
) -> c_int {
    let result = pass_on!(xWrite(file, buffer, amount, at));
    if result == ffi::SQLITE_OK {
        // SAFETY: `file` was opened by `open`, and SQLite guarantees `amount` bytes in `buffer`.
        let (inode, bytes) = unsafe {
            let bytes = std::slice::from_raw_parts(buffer.cast::<u8>(), amount as usize);
            ((*file.cast::<File>()).inode, bytes.to_vec())
        };
        with_journal(|journal| {
            journal.ops.push(Op::Write { inode, at: at as usize, bytes });
        });
    }
    result
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: i64) -> c_int {
    let result = pass_on!(xTruncate(file, size));
    if result == ffi::SQLITE_OK {
        // SAFETY: `file` was opened by `open`.
        let inode = unsafe { (*file.cast::<File>()).inode };
        with_journal(|journal| journal.ops.push(Op::Truncate { inode, size: size as usize }));
    }
    result
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: `file` was opened by `open`, and no other code uses it during this call.
    let ours = unsafe { &mut *file.cast::<File>() };
    let mut failures = ours.failures;
    with_journal(|journal| failures = journal.failures_with_current_sync(ours.inode));
    if ours.failures < failures {
        ours.failures = failures;
        return ffi::SQLITE_IOERR_FSYNC;
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    past_sqlite::IN_SQLITE.set(true);
    let result = pass_on!(xSync(file, flags));
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    past_sqlite::IN_SQLITE.set(false);
    if result == ffi::SQLITE_OK {
        with_journal(|journal| {
            journal.ops.push(Op::Sync { inode: ours.inode });
            if ours.syncs_directory {
                journal.ops.push(Op::SyncDirectory);
            }
        });
        ours.syncs_directory = false;
    }
    result
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};

/// The VFS of the system, behind this one.
fn system(vfs: *mut sqlite3_vfs) -> *mut sqlite3_vfs {
    // SAFETY: `install` set the pointer, and the VFS lives as long as the process.
    unsafe { (*vfs).pAppData.cast() }
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let system = system(vfs);
    // SAFETY: the system's VFS has this method.
    let open = unsafe { (*system).xOpen.expect("xOpen") };
    let (mut inode, mut failures) = (None, 0);
    // Temporary files have no name, and do not matter after a crash.
    if !name.is_null() {
        // SAFETY: SQLite passes a NUL-terminated name.
        let path = unsafe { CStr::from_ptr(name) }.to_str().expect("a path in UTF-8");
        with_journal(|journal| {
            inode = journal.open(Path::new(path));
            failures = inode.map_or(0, |inode| journal.failures(inode));
        });
    }
    let Some(inode) = inode else {
        // SAFETY: passes on SQLite's arguments. The allocation is larger than the system's file.
        return unsafe { open(system, name, file, flags, out) };
    };
    let journals = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL;
    let syncs_directory = flags & ffi::SQLITE_OPEN_CREATE != 0 && flags & journals != 0;
    // SAFETY: `file` has room for both. SQLite does not close a file without methods, so they are
    // set only if the file is open.
    unsafe {
        let result = open(system, name, inner(file), flags, out);
        let methods = if result == ffi::SQLITE_OK { &raw const METHODS } else { ptr::null() };
        let base = sqlite3_file { pMethods: methods };
        file.cast::<File>().write(File { base, inode, failures, syncs_directory });
        result
    }
}

unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    let system = system(vfs);
    // SAFETY: passes on SQLite's arguments.
    let result = unsafe { ((*system).xDelete.expect("xDelete"))(system, name, sync) };
    if result == ffi::SQLITE_OK {
        // SAFETY: SQLite passes a NUL-terminated name.
        let path = unsafe { CStr::from_ptr(name) }.to_str().expect("a path in UTF-8");
        with_journal(|journal| {
            journal.delete(Path::new(path));
            if sync != 0 {
                journal.ops.push(Op::SyncDirectory);
            }
        });
    }
    result
}

/// Registers this VFS as the default of SQLite.
fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the system's VFS lives as long as the process. Ours is a copy of it, so methods
        // that are not replaced still work. It is leaked, so it lives as long.
        let result = unsafe {
            let system = ffi::sqlite3_vfs_find(ptr::null());
            let mut ours = *system;
            ours.szOsFile += INNER as c_int;
            ours.pNext = ptr::null_mut();
            ours.zName = c"journalled".as_ptr();
            ours.pAppData = system.cast();
            ours.xOpen = Some(open);
            ours.xDelete = Some(delete);
            ffi::sqlite3_vfs_register(Box::into_raw(Box::new(ours)), 1)
        };
        assert_eq!(result, ffi::SQLITE_OK);
    });
}
