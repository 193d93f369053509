//! Stands between this program and the system: the calls of one thread that concern files are counted, and made to
//! fail.
//!
//! The functions below have the names of those of the C library, and programs find them first: SQLite's calls come
//! through here, and those of Rust's library as well. Threads that have not asked for it by [`Fault::during`] notice
//! nothing.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::PathBuf;
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{mode_t, off64_t, size_t, ssize_t};

/// Which call fails, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Counted from 0.
    pub(crate) at: usize,
    pub(crate) errno: c_int,
    /// Whether the calls after it fail too.
    pub(crate) lasts: bool,
}

/// What happened to calls under watch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) calls: usize,
    /// The first one that failed.
    pub(crate) failed: Option<&'static str>,
    /// The file of a sync that failed, and whether the trail was opened after that.
    pub(crate) unsynced: Option<(PathBuf, bool)>,
}

thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
    static SEEN: RefCell<Seen> = const {
        RefCell::new(Seen { calls: 0, failed: None, unsynced: None })
    };
}

impl Fault {
    /// From now on, this call of those that are made while [`watched`] fails.
    pub(crate) fn set(fault: Option<Self>) {
        FAULT.set(fault);
        SEEN.take();
    }

    /// Ends a fault that lasts.
    pub(crate) fn end() {
        if SEEN.with_borrow(|seen| seen.failed.is_some()) {
            FAULT.set(None);
        }
    }
}

/// Does `work`, whose calls are counted, and fail if so told.
pub(crate) fn watched<T>(work: impl FnOnce() -> T) -> T {
    ARMED.set(true);
    let result = work();
    ARMED.set(false);
    result
}

pub(crate) fn seen() -> Seen {
    SEEN.with_borrow(Seen::clone)
}

/// What was seen up to a panic; from here on nothing fails.
pub(crate) fn disarmed() -> Seen {
    ARMED.set(false);
    FAULT.set(None);
    SEEN.take()
}

/// Forgets that a sync failed.
pub(crate) fn forgive() {
    SEEN.with_borrow_mut(|seen| seen.unsynced = None);
}

/// Counts a call of `name`, and returns the error that it fails with, if it does.
fn fails(name: &'static str) -> Option<c_int> {
    if !ARMED.get() {
        return None;
    }
    // What is noted here may call the system as well.
    ARMED.set(false);
    let fault = SEEN.with_borrow_mut(|seen| {
        let number = seen.calls;
        seen.calls += 1;
        let fault =
            FAULT.get().filter(|fault| number == fault.at || (fault.lasts && number > fault.at));
        if fault.is_some() {
            seen.failed.get_or_insert(name);
        }
        fault
    });
    ARMED.set(true);
    fault.map(|fault| fault.errno)
}

fn set_errno(errno: c_int) {
    // SAFETY: it is the calling thread's own.
    unsafe { *libc::__errno_location() = errno };
}

/// The function of this name that the C library has.
fn next(cache: &AtomicPtr<c_void>, name: &'static CStr) -> *mut c_void {
    let known = cache.load(Ordering::Relaxed);
    if !known.is_null() {
        return known;
    }
    // SAFETY: the name ends with NUL.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    assert!(!found.is_null());
    cache.store(found, Ordering::Relaxed);
    found
}

/// The library's own function of this name and type.
macro_rules! real {
    ($name:ident as $type:ty) => {{
        static CACHE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
        const NAME: &CStr =
            match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!(),
            };
        // SAFETY: the library's function has this type.
        unsafe { std::mem::transmute::<*mut c_void, $type>(next(&CACHE, NAME)) }
    }};
}

macro_rules! interposed {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $failed:expr;)*) => {$(
        /// # Safety
        ///
        /// As of the function of this name in the C library.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            let real = real!($name as unsafe extern "C" fn($($type),*) -> $result);
            if let Some(errno) = fails(stringify!($name)) {
                set_errno(errno);
                return $failed;
            }
            // SAFETY: the caller's arguments, passed on.
            unsafe { real($($argument),*) }
        }
    )*};
}

interposed! {
    access(path: *const c_char, mode: c_int) -> c_int = -1;
    stat64(path: *const c_char, out: *mut libc::stat64) -> c_int = -1;
    fstat64(fd: c_int, out: *mut libc::stat64) -> c_int = -1;
    lstat64(path: *const c_char, out: *mut libc::stat64) -> c_int = -1;
    statx(
        fd: c_int, path: *const c_char, flags: c_int, mask: libc::c_uint, out: *mut libc::statx
    ) -> c_int = -1;
    ftruncate64(fd: c_int, size: off64_t) -> c_int = -1;
    read(fd: c_int, buffer: *mut c_void, size: size_t) -> ssize_t = -1;
    pread64(fd: c_int, buffer: *mut c_void, size: size_t, at: off64_t) -> ssize_t = -1;
    write(fd: c_int, buffer: *const c_void, size: size_t) -> ssize_t = -1;
    fchmod(fd: c_int, mode: mode_t) -> c_int = -1;
    unlink(path: *const c_char) -> c_int = -1;
    mkdir(path: *const c_char, mode: mode_t) -> c_int = -1;
    rename(from: *const c_char, to: *const c_char) -> c_int = -1;
    flock(fd: c_int, operation: c_int) -> c_int = -1;
    mmap64(
        at: *mut c_void, size: size_t, protection: c_int, flags: c_int, fd: c_int, offset: off64_t
    ) -> *mut c_void = libc::MAP_FAILED;
}

/// SQLite's waits: it counts them itself, so they need not last. One lock that is not to be had makes ten seconds.
///
/// # Safety
///
/// As of the function of this name in the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn nanosleep(time: *const libc::timespec, left: *mut libc::timespec) -> c_int {
    let real = real!(
        nanosleep as unsafe extern "C" fn(*const libc::timespec, *mut libc::timespec) -> c_int
    );
    if ARMED.get() {
        return 0;
    }
    // SAFETY: the caller's arguments, passed on.
    unsafe { real(time, left) }
}

type Open = unsafe extern "C" fn(*const c_char, c_int, ...) -> c_int;
type Fcntl = unsafe extern "C" fn(c_int, c_int, ...) -> c_int;

macro_rules! interposed_open {
    ($($name:ident)*) => {$(
        /// # Safety
        ///
        /// As of the function of this name in the C library.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
            let real = real!($name as Open);
            if let Some(errno) = fails("open") {
                set_errno(errno);
                return -1;
            }
            if ARMED.get() {
                // SAFETY: the caller hands over a path that ends with NUL.
                opened(unsafe { CStr::from_ptr(path) });
            }
            // SAFETY: the caller's arguments, passed on.
            unsafe { real(path, flags, mode) }
        }
    )*};
}

interposed_open! { open open64 }

fn opened(path: &CStr) {
    if !path.to_bytes().ends_with(b".db") {
        return;
    }
    SEEN.with_borrow_mut(|seen| {
        if let Some((_, reopened)) = &mut seen.unsynced {
            *reopened = true;
        }
    });
}

macro_rules! interposed_fcntl {
    ($($name:ident)*) => {$(
        /// # Safety
        ///
        /// As of the function of this name in the C library.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(fd: c_int, command: c_int, argument: *mut c_void) -> c_int {
            let real = real!($name as Fcntl);
            if let Some(errno) = fails("fcntl") {
                set_errno(errno);
                return -1;
            }
            // SAFETY: the caller's arguments, passed on: whatever the third is, it has the size of a pointer at most.
            unsafe { real(fd, command, argument) }
        }
    )*};
}

interposed_fcntl! { fcntl fcntl64 }

/// # Safety
///
/// As of the function of this name in the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    let real = real!(close as unsafe extern "C" fn(c_int) -> c_int);
    // Linux closes the file whatever it says.
    // SAFETY: the caller's argument, passed on.
    let result = unsafe { real(fd) };
    if let Some(errno) = fails("close") {
        set_errno(errno);
        return -1;
    }
    result
}

/// # Safety
///
/// As of the function of this name in the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(
    fd: c_int,
    buffer: *const c_void,
    size: size_t,
    at: off64_t,
) -> ssize_t {
    let real =
        real!(pwrite64 as unsafe extern "C" fn(c_int, *const c_void, size_t, off64_t) -> ssize_t);
    if let Some(errno) = fails("pwrite") {
        // Half of it comes to the disk, as when it fills up.
        // SAFETY: the caller's arguments, passed on, but for less.
        unsafe { real(fd, buffer, size / 2, at) };
        set_errno(errno);
        return -1;
    }
    // SAFETY: the caller's arguments, passed on.
    unsafe { real(fd, buffer, size, at) }
}

macro_rules! interposed_sync {
    ($($name:ident)*) => {$(
        /// # Safety
        ///
        /// As of the function of this name in the C library.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(fd: c_int) -> c_int {
            let real = real!($name as unsafe extern "C" fn(c_int) -> c_int);
            if let Some(errno) = fails("fsync") {
                let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
                // SQLite takes it lightly when a directory can't be synced, for some systems can't.
                if !path.is_dir() {
                    SEEN.with_borrow_mut(|seen| seen.unsynced = Some((path, false)));
                }
                set_errno(errno);
                return -1;
            }
            // SAFETY: the caller's argument, passed on.
            unsafe { real(fd) }
        }
    )*};
}

interposed_sync! { fsync fdatasync }
