//! Whether this process is still the one in which something was made.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::system;

static FORKS: AtomicU32 = AtomicU32::new(0);
static WATCHED: AtomicBool = AtomicBool::new(false);

/// How many forks lie between this process and the one that asked first.
///
/// What must not be used after a fork, such as the connection to a database, remembers this number when it is made,
/// and compares. It costs no system call. Always 0 where processes do not fork. A child made by the bare system
/// call, past the C library's `fork`, is not noticed.
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
    if !WATCHED.load(Ordering::Relaxed) {
        watch();
    }
    FORKS.load(Ordering::Relaxed)
}

/// No `Once`: if another thread forked in its midst, the child would wait for it for ever.
#[cold]
fn watch() {
    if !WATCHED.swap(true, Ordering::Relaxed)
        && system::at_fork(before, in_parent, in_child).is_err()
    {
        WATCHED.store(false, Ordering::Relaxed);
    }
}

/// The process in which this was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home(u32);

impl Home {
    /// The process that calls this.
    pub fn here() -> Self {
        Self(forks())
    }

    /// `false` in a child that was forked since.
    #[inline]
    pub fn is_here(self) -> bool {
        // `here` has made sure that forks are counted.
        self.0 == FORKS.load(Ordering::Relaxed)
    }
}

// ---- work that a fork must not part -------------------------------------------------------------------

/// Threads that are at such work.
static AT_WORK: AtomicU32 = AtomicU32::new(0);
/// Threads that are about to fork.
static FORKING: AtomicU32 = AtomicU32::new(0);
/// This process, or one before it, was forked while a thread was at such work.
static PARTED: AtomicBool = AtomicBool::new(false);

/// How long a fork waits for that work; more than storing a batch takes, unless the store is in trouble.
const PATIENCE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_micros(20);

thread_local! {
    /// How deep this thread is in such work.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Holds off forks of this process until it is dropped; from [`hold_off_forks`].
#[must_use = "dropped at once, it holds off nothing"]
pub struct NoFork(PhantomData<*const ()>);

/// Makes a fork on another thread wait until this work is done, for a tenth of a second at most.
///
/// For work that takes locks which a child needs as well, such as those within SQLite: a lock that another thread
/// holds at the fork is never given back in the child. [`is_parted`] tells there whether a fork did not wait long
/// enough. It costs two atomic operations.
///
/// ```
/// use audit_record::process;
///
/// let held_off = process::hold_off_forks();
/// // What must be whole in a child.
/// drop(held_off);
/// assert!(!process::is_parted());
/// ```
pub fn hold_off_forks() -> NoFork {
    let _ = forks();
    let depth = DEPTH.try_with(|depth| depth.replace(depth.get() + 1)).unwrap_or(0);
    if depth == 0 {
        AT_WORK.fetch_add(1, Ordering::SeqCst);
        while FORKING.load(Ordering::SeqCst) > 0 {
            AT_WORK.fetch_sub(1, Ordering::SeqCst);
            thread::sleep(PAUSE);
            AT_WORK.fetch_add(1, Ordering::SeqCst);
        }
    }
    NoFork(PhantomData)
}

impl Drop for NoFork {
    fn drop(&mut self) {
        let depth = DEPTH.try_with(|depth| depth.replace(depth.get() - 1)).unwrap_or(1);
        if depth == 1 {
            AT_WORK.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Whether this process was forked in the midst of [work that a fork must not part](hold_off_forks): then that kind of
/// work is impossible here, for it might wait for ever.
#[must_use]
pub fn is_parted() -> bool {
    PARTED.load(Ordering::Relaxed)
}

fn own_work() -> u32 {
    u32::from(DEPTH.try_with(Cell::get).unwrap_or(0) > 0)
}

extern "C" fn before() {
    FORKING.fetch_add(1, Ordering::SeqCst);
    let (own, since) = (own_work(), Instant::now());
    while AT_WORK.load(Ordering::SeqCst) > own && since.elapsed() < PATIENCE {
        thread::sleep(PAUSE);
    }
}

extern "C" fn in_parent() {
    FORKING.fetch_sub(1, Ordering::SeqCst);
}

/// Runs before `fork` returns in the child. Other threads are gone with whatever they had locked, so nothing but
/// atomics is safe here.
extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    FORKING.store(0, Ordering::SeqCst);
    // A fork by the working thread itself parts its work as well.
    let others_and_own = AT_WORK.swap(own_work(), Ordering::SeqCst);
    PARTED.fetch_or(others_and_own > 0, Ordering::Relaxed);
}
