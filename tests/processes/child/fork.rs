//! The roles of programs that fork.

use std::io::stderr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;

use audited::{Audit, SqliteStore, audit_method};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::prelude::*;

use super::{path, say};

#[audit_method(action = "step")]
fn step(key: &str) -> usize {
    key.len()
}

/// Forks; what it returns is 0 in the child.
#[audit_method(action = "step")]
fn fork_within(key: &str) -> libc::pid_t {
    let _ = key;
    fork()
}

fn fork() -> libc::pid_t {
    // SAFETY: the child uses locks and memory, which POSIX promises only where there is one thread; the C libraries
    // of Linux keep the allocator usable, and what else the child meets is what is tested here.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
    if pid == 0 {
        // SAFETY: it takes a number. A child that hangs is ended by it, and shows in `wait_for`.
        unsafe { libc::alarm(60) };
    }
    pid
}

/// Waits for the end of the child; if that was not in order, it is the end of this process too.
fn wait_for(child: libc::pid_t) {
    let mut status = 0;
    // SAFETY: `status` is there to be written.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    if status != 0 {
        // Not a panic: threads that record all the time would be waited for.
        eprintln!("the forked child did not end in order: wait status {status}");
        std::process::exit(101);
    }
}

/// Warnings of the library that reached the subscriber.
static WARNINGS: AtomicU32 = AtomicU32::new(0);
/// What a subscriber may have locked.
static LOCKED: Mutex<()> = Mutex::new(());

struct Warnings;

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "audited" {
            let _locked = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
            WARNINGS.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn begin() -> Audit {
    tracing_subscriber::registry().with(audited::layer()).with(Warnings).init();
    begin_anew()
}

fn begin_anew() -> Audit {
    let store = SqliteStore::open(path()).expect("the trail opens");
    Audit::builder().store(store).install().expect("a recorder")
}

fn path_of_child() -> PathBuf {
    path().with_extension("child.db")
}

/// The child uses what it has inherited, then installs a recorder of its own.
pub(super) fn forks() {
    let audit = begin();
    step("before");
    match fork_within("fork") {
        0 => {
            child_uses_all(&audit);
            let store = SqliteStore::open(path_of_child()).expect("the trail opens");
            let own = Audit::builder().store(store).install().expect("a recorder of its own");
            step("own");
            say(&format!("counts {:?}", own.counters().accepted));
            own.close().expect("it closes in order");
            step("after own");
            drop(audit);
            say("child ends");
        }
        child => {
            wait_for(child);
            step("after");
            let counters = audit.counters();
            say(&format!(
                "parent has {} accepted, {} dropped",
                counters.accepted, counters.dropped
            ));
            audit.close().expect("it closes in order");
            say(&format!("parent was warned {} times", WARNINGS.load(Ordering::SeqCst)));
        }
    }
}

fn child_uses_all(audit: &Audit) {
    say(&format!("result {}", step("in child")));
    step("in child again");
    // It is told by a thread of its own.
    while WARNINGS.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    step("in child once more");
    say(&format!("warned {} times", WARNINGS.load(Ordering::SeqCst)));
    for (what, result) in [
        ("flush", audit.flush()),
        ("history", audit.history_of("pilot", 1).map(drop)),
        ("all", audit.history_of("pilot", 2).map(drop)),
    ] {
        say(&format!("{what} {}", result.expect_err("the recorder is the parent's")));
    }
    say(&format!("health {:?}", audit.health().status));
    let held = audited::Context::new().recorder(audit);
    held.scope(|| step("in child by context"));
    audited::append(audited::Record::new(audited::Kind::Event, "step", chrono::Utc::now()));
}

/// At the fork, another thread holds what a warning needs: the child goes on all the same.
pub(super) fn forks_while_locked() {
    let mut audit = Some(begin());
    step("before");
    let (locked, forked) = (Barrier::new(2), Barrier::new(2));
    let child = thread::scope(|scope| {
        scope.spawn(|| {
            let _guards = (stderr().lock(), LOCKED.lock());
            locked.wait();
            forked.wait();
        });
        locked.wait();
        let child = fork();
        if child == 0 {
            say(&format!("result {}", step("in child")));
            drop(audit.take());
            say("child ends");
            // Not to the end of the scope: it waits for a thread that is not here.
            std::process::exit(0);
        }
        forked.wait();
        wait_for(child);
        child
    });
    assert!(child > 0);
    step("after");
}

/// Many forks, while other threads record.
pub(super) fn forks_while_recording() {
    let audit = begin();
    let stop = &AtomicBool::new(false);
    thread::scope(|scope| {
        let recording: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(move || {
                    let mut calls = 0_u64;
                    while !stop.load(Ordering::SeqCst) {
                        step("parent");
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        for _ in 0..50 {
            let child = fork();
            if child == 0 {
                step("in child");
                assert!(audit.flush().is_err());
                std::process::exit(0);
            }
            wait_for(child);
        }
        stop.store(true, Ordering::SeqCst);
        let calls: u64 = recording.into_iter().map(|thread| thread.join().expect("it ends")).sum();
        audit.flush().expect("the store takes all");
        assert_eq!(audit.counters().accepted, calls);
        say(&format!("calls {calls}"));
    });
    audit.close().expect("it closes in order");
}

/// The child opens a trail of its own again and again, while the parent's writer is at work in SQLite.
pub(super) fn forks_while_the_store_is_at_work() {
    let audit = &begin();
    let stop = &AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    step("parent");
                    audit.flush().expect("the store takes all");
                }
            });
        }
        for _ in 0..60 {
            let child = fork();
            if child == 0 {
                let store = match SqliteStore::open(path_of_child()) {
                    Ok(store) => store,
                    Err(error) => {
                        say(&format!("refused {error}"));
                        std::process::exit(0);
                    }
                };
                let own = Audit::builder().store(store).install().expect("a recorder of its own");
                step("child");
                own.close().expect("it closes in order");
                std::process::exit(0);
            }
            wait_for(child);
        }
        stop.store(true, Ordering::SeqCst);
    });
}

/// The child opens the trail of its parent, which has it open at the first fork, and closed before the second.
pub(super) fn forks_and_opens_the_same_trail() {
    let audit = begin();
    step("before");
    let child = fork();
    if child == 0 {
        say(&SqliteStore::open(path()).expect_err("it is the parent's").to_string());
        return drop(audit);
    }
    wait_for(child);
    audit.close().expect("it closes in order");
    let child = fork();
    if child == 0 {
        let own = begin_anew();
        step("in child");
        return own.close().expect("it closes in order");
    }
    wait_for(child);
    say(&std::process::id().to_string());
}
