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
    /// Identifies the session in the file; see `counters`. Never read through the mapping.
    head: PaddedCounter,
    pub(super) accepted: PaddedCounter,
    pub(super) dropped: PaddedCounter,
}

/// A counter that shares no cache line with another.
#[repr(C, align(128))]
#[derive(Default)]
pub(super) struct PaddedCounter(pub(super) AtomicU64);

/// Owns a [`Page`], on the heap or in a shared mapping.
pub(super) struct Memory {
    page: NonNull<Page>,
    /// The mapping that holds the page; `None` for one on the heap.
    #[cfg(target_os = "linux")]
    mapped: Option<memmap2::MmapRaw>,
}

// SAFETY: a `Page` consists of atomics, which any thread may use at any time. It lives until
// `Memory` is dropped.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// A page on the heap of this process.
    pub(super) fn private() -> Self {
        Self {
            page: NonNull::from(Box::leak(Box::default())),
            #[cfg(target_os = "linux")]
            mapped: None,
        }
    }

    /// The page at the beginning of `file`. Other processes can map or read it too.
    ///
    /// `file` must already be written up to the end of the page, so that its memory is allocated.
    #[cfg(target_os = "linux")]
    pub(super) fn shared(file: &std::fs::File) -> io::Result<Self> {
        let mapped = memmap2::MmapRaw::map_raw(file)?;
        let page =
            NonNull::new(mapped.as_mut_ptr().cast::<Page>()).filter(|page| page.is_aligned());
        let Some(page) = page.filter(|_| mapped.len() >= size_of::<Page>()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        Ok(Self { page, mapped: Some(mapped) })
    }

    pub(super) fn is_shared(&self) -> bool {
        #[cfg(target_os = "linux")]
        return self.mapped.is_some();
        #[cfg(not(target_os = "linux"))]
        return false;
    }
}

impl Deref for Memory {
    type Target = Page;

    #[inline]
    fn deref(&self) -> &Page {
        // SAFETY: `page` points to a leaked box or into `mapped`, which is at least as long as a
        // `Page` and aligned like one. Both live as long as `self`. A `Page` contains only integers
        // in `UnsafeCell`s: every bit pattern is valid, and other processes may write them.
        unsafe { self.page.as_ref() }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if !self.is_shared() {
            // SAFETY: without a mapping, `page` comes from `Box::leak` in `private`. Nothing else
            // frees it.
            drop(unsafe { Box::from_raw(self.page.as_ptr()) });
        }
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
