//! Interposes the file functions of the C library: counts the calls of a thread, and makes them
//! fail.
//!
//! The functions below have the same names as those of the C library, and the linker finds them
//! first. The calls of SQLite and of Rust's standard library therefore come through here. They only
//! have an effect while a thread runs code under [`watched`].

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::PathBuf;
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{mode_t, off64_t, size_t, ssize_t};

/// Which call fails, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// The number of the call, counted from 0.
    pub(crate) at: usize,
    pub(crate) errno: c_int,
    /// Whether all later calls fail too.
    pub(crate) lasts: bool,
}

/// What the watched calls did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) calls: usize,
    /// The name of the first call that failed.
    pub(crate) failed: Option<&'static str>,
    /// The file of a failed sync, and whether the trail was opened after that.
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
    /// Sets the fault for the calls made under [`watched`] from now on.
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

/// Runs `work`. Its calls are counted, and fail as the fault says.
pub(crate) fn watched<T>(work: impl FnOnce() -> T) -> T {
    ARMED.set(true);
    let result = work();
    ARMED.set(false);
    result
}

pub(crate) fn seen() -> Seen {
    SEEN.with_borrow(Seen::clone)
}

/// Ends watching after a panic. Returns what was seen until then.
pub(crate) fn disarm() -> Seen {
    ARMED.set(false);
    FAULT.set(None);
    SEEN.take()
}

/// Forgets that a sync failed.
pub(crate) fn forget_failed_sync() {
    SEEN.with_borrow_mut(|seen| seen.unsynced = None);
}

/// Counts a call of `name`. Returns the error if the call is to fail.
fn next_error(name: &'static str) -> Option<c_int> {
    if !ARMED.get() {
        return None;
    }
    // The code below may itself make system calls.
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
    // SAFETY: `errno` belongs to the calling thread.
    unsafe { *libc::__errno_location() = errno };
}

/// The C library's own function of this name.
fn library_function(cache: &AtomicPtr<c_void>, name: &'static CStr) -> *mut c_void {
    let known = cache.load(Ordering::Relaxed);
    if !known.is_null() {
        return known;
    }
    // SAFETY: the name is NUL-terminated.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    assert!(!found.is_null());
    cache.store(found, Ordering::Relaxed);
    found
}

/// The C library's own function of this name and type.
macro_rules! real {
    ($name:ident as $type:ty) => {{
        static CACHE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
        const NAME: &CStr =
            match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!(),
            };
        // SAFETY: the function in the C library has this type.
        unsafe { std::mem::transmute::<*mut c_void, $type>(library_function(&CACHE, NAME)) }
    }};
}

macro_rules! interposed {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $failed:expr;)*) => {$(
        /// # Safety
        ///
        /// The same as for the function of this name in the C library.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            let real = real!($name as unsafe extern "C" fn($($type),*) -> $result);
            if let Some(errno) = next_error(stringify!($name)) {
                set_errno(errno);
                return $failed;
            }
            // SAFETY: passes on the arguments of the caller.
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

/// Skips the waits of SQLite, which counts them itself. One lock that is not available would take
/// ten seconds.
///
/// # Safety
///
/// The same as for the function of this name in the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn nanosleep(time: *const libc::timespec, left: *mut libc::timespec) -> c_int {
    let real = real!(
        nanosleep as unsafe extern "C" fn(*const libc::timespec, *mut libc::timespec) -> c_int
    );
    if ARMED.get() {
        return 0;
    }
    // SAFETY: passes on the arguments of the caller.
    unsafe { real(time, left) }
}

type Open = unsafe extern "C" fn(*const c_char, c_int, ...) -> c_int;
type Fcntl = unsafe extern "C" fn(c_int, c_int, ...) -> c_int;

macro_rules! interposed_open {
    ($($name:ident)*) => {$(
        /// # Safety
        ///
        /// The same as for the function of this name in the C library.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
            let real = real!($name as Open);
            if let Some(errno) = next_error("open") {
                set_errno(errno);
                return -1;
            }
            if ARMED.get() {
                // SAFETY: the caller passes a NUL-terminated path.
                opened(unsafe { CStr::from_ptr(path) });
            }
            // SAFETY: passes on the arguments of the caller.
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
        /// The same as for the function of this name in the C library.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(fd: c_int, command: c_int, argument: *mut c_void) -> c_int {
            let real = real!($name as Fcntl);
            if let Some(errno) = next_error("fcntl") {
                set_errno(errno);
                return -1;
            }
            // SAFETY: passes on the arguments of the caller. The third one has at most the size of
            // a pointer.
            unsafe { real(fd, command, argument) }
        }
    )*};
}

interposed_fcntl! { fcntl fcntl64 }

/// # Safety
///
/// The same as for the function of this name in the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    let real = real!(close as unsafe extern "C" fn(c_int) -> c_int);
    // Linux closes the file even if `close` returns an error.
    // SAFETY: passes on the argument of the caller.
    let result = unsafe { real(fd) };
    if let Some(errno) = next_error("close") {
        set_errno(errno);
        return -1;
    }
    result
}

/// # Safety
///
/// The same as for the function of this name in the C library.
#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(
    fd: c_int,
    buffer: *const c_void,
    size: size_t,
    at: off64_t,
) -> ssize_t {
    let real =
        real!(pwrite64 as unsafe extern "C" fn(c_int, *const c_void, size_t, off64_t) -> ssize_t);
    if let Some(errno) = next_error("pwrite") {
        // Half of the bytes are written, as on a disk that gets full.
        // SAFETY: passes on the arguments of the caller, with a smaller size.
        unsafe { real(fd, buffer, size / 2, at) };
        set_errno(errno);
        return -1;
    }
    // SAFETY: passes on the arguments of the caller.
    unsafe { real(fd, buffer, size, at) }
}

macro_rules! interposed_sync {
    ($($name:ident)*) => {$(
        /// # Safety
        ///
        /// The same as for the function of this name in the C library.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(fd: c_int) -> c_int {
            let real = real!($name as unsafe extern "C" fn(c_int) -> c_int);
            if let Some(errno) = next_error("fsync") {
                let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
                // SQLite ignores failed syncs of directories, because some systems cannot do them.
                if !path.is_dir() {
                    SEEN.with_borrow_mut(|seen| seen.unsynced = Some((path, false)));
                }
                set_errno(errno);
                return -1;
            }
            // SAFETY: passes on the argument of the caller.
            unsafe { real(fd) }
        }
    )*};
}

interposed_sync! { fsync fdatasync }
