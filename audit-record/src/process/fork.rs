//! Detects whether this process was forked, and delays forks during critical work.
//!
//! Everything here is lock-free, because a child must not wait for a lock that a thread of the
//! parent held at the fork.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, thread};

use crate::process::system;

static FORKS: AtomicU32 = AtomicU32::new(0);
static HANDLERS_INSTALLED: AtomicBool = AtomicBool::new(false);

/// The number of forks between the first process that called this and the current process.
///
/// A resource such as a database connection must not be used after a fork. It stores this number
/// when it is created, and compares it before use. This costs no system call. The number is always
/// 0 on systems without fork. A child that was created by the bare system call, without the C
/// library's `fork`, is not detected.
///
/// ```
/// use audit_record::process;
///
/// struct Connection {
///     forks: u32,
/// }
/// let connection = Connection { forks: process::forks() };
/// // Later, before it is used:
/// let is_inherited = connection.forks != process::forks();
/// assert!(!is_inherited);
/// ```
#[inline]
#[must_use]
pub fn forks() -> u32 {
    if !HANDLERS_INSTALLED.load(Ordering::Relaxed) {
        install_handlers();
    }
    FORKS.load(Ordering::Relaxed)
}

/// This is not a `Once`: if another thread forked during the initialisation, the child would wait
/// for it forever.
#[cold]
fn install_handlers() {
    if !HANDLERS_INSTALLED.swap(true, Ordering::Relaxed)
        && system::at_fork(before_fork, after_fork_in_parent, after_fork_in_child).is_err()
    {
        HANDLERS_INSTALLED.store(false, Ordering::Relaxed);
    }
}

/// The process that created something and may use it.
///
/// ```
/// use audit_record::process::OwnerProcess;
///
/// let owner = OwnerProcess::current();
/// assert!(owner.is_current()); // `false` in a forked child
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerProcess(u32);

impl OwnerProcess {
    /// The current process.
    pub fn current() -> Self {
        Self(forks())
    }

    /// Whether the current process is still the owner. `false` in a child that was forked since.
    #[inline]
    pub fn is_current(self) -> bool {
        // `current` has installed the handlers, so forks are counted.
        self.0 == FORKS.load(Ordering::Relaxed)
    }
}

// ---- work during which a fork waits -------------------------------------------------------------

/// The number of threads that hold a [`NoFork`].
static WORKING: AtomicU32 = AtomicU32::new(0);
/// The number of threads that are about to fork.
static FORKING: AtomicU32 = AtomicU32::new(0);
/// Whether this process, or one of its ancestors, was forked while a thread held a [`NoFork`].
static FORKED_DURING_WORK: AtomicBool = AtomicBool::new(false);

/// How long a fork waits for that work. Storing a batch takes less, unless the store is in trouble.
const MAX_FORK_DELAY: Duration = Duration::from_millis(100);
const POLL_INTERVAL: Duration = Duration::from_micros(20);

thread_local! {
    /// How many nested [`NoFork`] guards this thread holds.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// A guard that delays forks of this process while it exists; from [`hold_off_forks`].
#[must_use = "forks are delayed only while this guard exists"]
pub struct NoFork(PhantomData<*const ()>);

impl fmt::Debug for NoFork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoFork")
    }
}

/// Makes a fork on another thread wait until the guard is dropped, but at most 100 ms.
///
/// For work that takes locks which a forked child needs too, such as those inside SQLite. If
/// another thread holds such a lock at the fork, no thread releases it in the child. In the child,
/// [`was_forked_during_work`] says whether this may have happened. The guard costs two atomic
/// operations.
///
/// ```
/// use audit_record::process;
///
/// let no_fork = process::hold_off_forks();
/// // Work that a fork must not interrupt.
/// drop(no_fork);
/// assert!(!process::was_forked_during_work());
/// ```
pub fn hold_off_forks() -> NoFork {
    let _ = forks();
    let depth = DEPTH.try_with(|depth| depth.replace(depth.get() + 1)).unwrap_or(0);
    if depth == 0 {
        WORKING.fetch_add(1, Ordering::SeqCst);
        while FORKING.load(Ordering::SeqCst) > 0 {
            WORKING.fetch_sub(1, Ordering::SeqCst);
            thread::sleep(POLL_INTERVAL);
            WORKING.fetch_add(1, Ordering::SeqCst);
        }
    }
    NoFork(PhantomData)
}

impl Drop for NoFork {
    fn drop(&mut self) {
        let depth = DEPTH.try_with(|depth| depth.replace(depth.get() - 1)).unwrap_or(1);
        if depth == 1 {
            WORKING.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Whether this process was forked during work that is [guarded against forks](hold_off_forks).
///
/// Such work is then impossible in this process, because it might wait forever for a lock.
#[must_use]
pub fn was_forked_during_work() -> bool {
    FORKED_DURING_WORK.load(Ordering::Relaxed)
}

/// 1 if this thread holds a [`NoFork`], otherwise 0.
fn own_work() -> u32 {
    u32::from(DEPTH.try_with(Cell::get).unwrap_or(0) > 0)
}

extern "C" fn before_fork() {
    FORKING.fetch_add(1, Ordering::SeqCst);
    let (own, start) = (own_work(), Instant::now());
    while WORKING.load(Ordering::SeqCst) > own && start.elapsed() < MAX_FORK_DELAY {
        thread::sleep(POLL_INTERVAL);
    }
}

extern "C" fn after_fork_in_parent() {
    FORKING.fetch_sub(1, Ordering::SeqCst);
}

/// Runs before `fork` returns in the child. Other threads no longer exist, but the locks that they
/// held stay locked. So only atomic operations are safe here.
extern "C" fn after_fork_in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    FORKING.store(0, Ordering::SeqCst);
    // A fork by the working thread itself counts as well.
    let working = WORKING.swap(own_work(), Ordering::SeqCst);
    FORKED_DURING_WORK.fetch_or(working > 0, Ordering::Relaxed);
}
