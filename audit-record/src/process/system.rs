//! What only `unsafe` code can ask of the system, all of it.

use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// The counters, in memory of which `Memory` takes care.
///
/// Each on a cache line of its own, and on none that the processor fetches along with the other's: callers write
/// `accepted` all the time.
#[repr(C)]
#[derive(Default)]
pub(super) struct Page {
    /// Names the session; see `counts`. Never looked at through the mapping.
    head: Line,
    pub(super) accepted: Line,
    pub(super) dropped: Line,
}

/// A number with its surroundings to itself.
#[repr(C, align(128))]
#[derive(Default)]
pub(super) struct Line(pub(super) AtomicU64);

/// Where a page is.
pub(super) struct Memory {
    page: NonNull<Page>,
    /// The mapping that holds the page; `None` for one on the heap.
    #[cfg(target_os = "linux")]
    mapped: Option<memmap2::MmapRaw>,
}

// SAFETY: a `Page` consists of atomics, which any thread may use at any time, and it lives until `Memory` is dropped.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// A page of this process alone.
    pub(super) fn private() -> Self {
        Self {
            page: NonNull::from(Box::leak(Box::default())),
            #[cfg(target_os = "linux")]
            mapped: None,
        }
    }

    /// The page at the beginning of `file`, shared with whoever else maps or reads it.
    ///
    /// `file` must have been written up to the end of the page, so that the memory is there already.
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
        // SAFETY: `page` points to a leaked box or into `mapped`, as long as a `Page` and aligned as one; both live
        // as long as `self`. All that is in it are integers in `UnsafeCell`s, for which every pattern of bits is
        // valid, whoever writes them.
        unsafe { self.page.as_ref() }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if !self.is_shared() {
            // SAFETY: without a mapping, `page` comes from `Box::leak` in `private`, and nobody else frees it.
            drop(unsafe { Box::from_raw(self.page.as_ptr()) });
        }
    }
}

/// Whether `file` is in memory, and so gone with the next boot.
#[cfg(target_os = "linux")]
pub(super) fn is_in_memory(file: &std::fs::File) -> bool {
    use std::mem::MaybeUninit;
    use std::os::fd::AsRawFd;

    let mut about = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open, and `about` has room for what is written.
    if unsafe { libc::fstatfs(file.as_raw_fd(), about.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call has succeeded, so it has filled `about`.
    let kind = unsafe { about.assume_init() }.f_type;
    // The types of both differ between C libraries.
    #[allow(clippy::unnecessary_cast, reason = "the types of both differ between C libraries")]
    let is_tmpfs = kind as i64 == libc::TMPFS_MAGIC as i64;
    is_tmpfs
}

/// The user whose files this process makes.
#[cfg(target_os = "linux")]
pub(super) fn user() -> u32 {
    // SAFETY: takes nothing, and can't fail.
    unsafe { libc::geteuid() }
}

#[cfg(target_os = "linux")]
use libc::pthread_atfork;

// Of POSIX, but not in `libc` for this system.
#[cfg(target_os = "macos")]
unsafe extern "C" {
    fn pthread_atfork(
        prepare: Option<unsafe extern "C" fn()>,
        parent: Option<unsafe extern "C" fn()>,
        child: Option<unsafe extern "C" fn()>,
    ) -> std::ffi::c_int;
}

/// Has these called at every fork from now on: before it, and after it in the parent and in the child. The last must
/// do nothing but what is safe in a signal handler.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub(super) fn at_fork(
    before: extern "C" fn(),
    in_parent: extern "C" fn(),
    in_child: extern "C" fn(),
) -> io::Result<()> {
    // SAFETY: these are functions without arguments, which never unwind out of `extern "C"`.
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
