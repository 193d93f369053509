//! The `unsafe` code of this module: the memory of the counters, and system calls.
//!
//! Everything else in [`process`](super) is safe code on top of it.

use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// The memory layout of the counters. [`Memory`] owns a page.
///
/// Callers write `accepted` all the time. So each counter has its own cache line, and the processor
/// does not prefetch the line of one with the line of the other.
#[repr(C)]
#[derive(Default)]
pub(super) struct Page {
    head: Head,
    pub(super) accepted: PaddedCounter,
    pub(super) dropped: PaddedCounter,
}

/// Identifies the session; see `counters`.
#[repr(C, align(128))]
#[derive(Default)]
struct Head([AtomicU64; 3]);

/// A counter that shares no cache line with another.
#[repr(C, align(128))]
#[derive(Default)]
pub(super) struct PaddedCounter(pub(super) AtomicU64);

/// Owns a [`Page`], on the heap or in shared memory.
pub(super) struct Memory {
    page: NonNull<Page>,
    is_shared: bool,
}

// SAFETY: a `Page` consists of atomics, which any thread may use at any time. It lives until
// `Memory` is dropped.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// A page on the heap of this process.
    pub(super) fn private() -> Self {
        Self { page: NonNull::from(Box::leak(Box::default())), is_shared: false }
    }

    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }
}

impl Deref for Memory {
    type Target = Page;

    #[inline]
    fn deref(&self) -> &Page {
        // SAFETY: `page` points to a leaked box or to an attached segment, which is at least as
        // long as a `Page` and aligned like one. Both live as long as `self`. A `Page` contains only
        // atomic integers: every bit pattern is valid, and other processes may write them.
        unsafe { self.page.as_ref() }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        if self.is_shared {
            segment::detach(self.page);
            return;
        }
        // SAFETY: a page that is not shared comes from `Box::leak` in `private`. Nothing else frees
        // it.
        drop(unsafe { Box::from_raw(self.page.as_ptr()) });
    }
}

/// Shared memory of the kernel (System V). It has no file that could be cut, which would end this
/// process with `SIGBUS`, and stays until it is removed or the machine is restarted.
#[cfg(target_os = "linux")]
pub(super) mod segment {
    use std::io;
    use std::mem::MaybeUninit;
    use std::ptr::{self, NonNull};
    use std::sync::atomic::Ordering;

    use super::{Memory, Page, user};

    /// What a segment of a dead process holds.
    pub(in crate::process) struct Values {
        pub(in crate::process) head: [u64; 3],
        pub(in crate::process) accepted: u64,
        pub(in crate::process) dropped: u64,
    }

    /// Creates a segment that only this user can read, with both counters at 0.
    pub(in crate::process) fn create(key: i32, head: [u64; 3]) -> io::Result<Memory> {
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | 0o600;
        // SAFETY: the function takes only numbers.
        let id = unsafe { libc::shmget(key, size_of::<Page>(), flags) };
        if id < 0 {
            return Err(io::Error::last_os_error());
        }
        let page = attach(id).inspect_err(|_| remove(id))?;
        let memory = Memory { page, is_shared: true };
        for (place, value) in memory.head.0.iter().zip(head) {
            place.store(value, Ordering::Relaxed);
        }
        Ok(memory)
    }

    /// Reads the segment with this key, if it belongs to this user and nobody else can use it.
    pub(in crate::process) fn read(key: i32) -> Option<Values> {
        let memory = Memory { page: attach(find(key)?).ok()?, is_shared: true };
        Some(Values {
            head: [0, 1, 2].map(|n| memory.head.0[n].load(Ordering::Relaxed)),
            accepted: memory.accepted.0.load(Ordering::Relaxed),
            dropped: memory.dropped.0.load(Ordering::Relaxed),
        })
    }

    /// Removes the segment with this key, if it belongs to this user. Processes that use it keep it
    /// until they end.
    pub(in crate::process) fn remove_key(key: i32) {
        if let Some(id) = find(key) {
            remove(id);
        }
    }

    fn find(key: i32) -> Option<i32> {
        // SAFETY: the function takes only numbers.
        let id = unsafe { libc::shmget(key, 0, 0) };
        let mut status = MaybeUninit::<libc::shmid_ds>::uninit();
        // SAFETY: `status` has room for the result.
        if id < 0 || unsafe { libc::shmctl(id, libc::IPC_STAT, status.as_mut_ptr()) } != 0 {
            return None;
        }
        // SAFETY: the call has succeeded, so it has initialised `status`.
        let status = unsafe { status.assume_init() };
        let is_own = status.shm_perm.uid == user() && status.shm_perm.mode & 0o077 == 0;
        (is_own && status.shm_segsz == size_of::<Page>()).then_some(id)
    }

    /// `id` must be a segment with the size of a `Page`.
    fn attach(id: i32) -> io::Result<NonNull<Page>> {
        // SAFETY: the system chooses an address that is not in use.
        let page = unsafe { libc::shmat(id, ptr::null(), 0) }.cast::<Page>();
        if page.addr() == usize::MAX {
            return Err(io::Error::last_os_error());
        }
        // The address is that of a page of the system.
        NonNull::new(page).filter(|page| page.is_aligned()).ok_or(io::ErrorKind::Other.into())
    }

    pub(super) fn detach(page: NonNull<Page>) {
        // SAFETY: `page` comes from `attach`, and its `Memory` is being dropped.
        unsafe { libc::shmdt(page.as_ptr().cast()) };
    }

    fn remove(id: i32) {
        // SAFETY: this command uses no buffer.
        unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) };
    }
}

/// Whether `file` is in memory, so that it does not survive a restart of the machine.
#[cfg(target_os = "linux")]
pub(super) fn is_in_memory(file: &std::fs::File) -> bool {
    use std::mem::MaybeUninit;
    use std::os::fd::AsRawFd;

    let mut status = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open, and `status` has room for the result.
    if unsafe { libc::fstatfs(file.as_raw_fd(), status.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call has succeeded, so it has initialised `status`.
    let kind = unsafe { status.assume_init() }.f_type;
    #[allow(clippy::unnecessary_cast, reason = "the types of both differ between C libraries")]
    let is_tmpfs = kind as i64 == libc::TMPFS_MAGIC as i64;
    is_tmpfs
}

/// The effective user id, which owns the files that this process creates.
#[cfg(target_os = "linux")]
pub(super) fn user() -> u32 {
    // SAFETY: the function takes no arguments and can't fail.
    unsafe { libc::geteuid() }
}

#[cfg(target_os = "linux")]
use libc::pthread_atfork;

// POSIX has this function, but `libc` does not declare it for this system.
#[cfg(target_os = "macos")]
unsafe extern "C" {
    fn pthread_atfork(
        prepare: Option<unsafe extern "C" fn()>,
        parent: Option<unsafe extern "C" fn()>,
        child: Option<unsafe extern "C" fn()>,
    ) -> std::ffi::c_int;
}

/// Registers functions that run at every fork: before it, and after it in the parent and in the
/// child. The last must do only what is safe in a signal handler.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(super) fn at_fork(
    before: extern "C" fn(),
    in_parent: extern "C" fn(),
    in_child: extern "C" fn(),
) -> io::Result<()> {
    // SAFETY: the functions take no arguments, and functions with the C ABI never unwind.
    match unsafe { pthread_atfork(Some(before), Some(in_parent), Some(in_child)) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(super) fn at_fork(
    _before: extern "C" fn(),
    _in_parent: extern "C" fn(),
    _in_child: extern "C" fn(),
) -> io::Result<()> {
    Ok(())
}
