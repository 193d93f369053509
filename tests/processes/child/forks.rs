//! The roles of programs that fork.

use std::io::stderr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;

use audited::store::Store;
use audited::{Audit, Error, Record, SqliteStore, audit_method};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::prelude::*;

use super::{install_recorder, path, print_line};

#[audit_method(action = "step")]
fn step(key: &str) -> usize {
    key.len()
}

/// Forks during the call. Returns 0 in the child.
#[audit_method(action = "step")]
fn fork_in_a_call(key: &str) -> libc::pid_t {
    let _ = key;
    fork()
}

fn fork() -> libc::pid_t {
    // SAFETY: the child uses locks and the allocator. POSIX allows that only if the parent has one
    // thread. The C libraries of Linux keep the allocator usable, and the tests check the rest.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
    if pid == 0 {
        // SAFETY: a system call with a number. It ends a child that hangs, and `wait_for` reports
        // that.
        unsafe { libc::alarm(60) };
    }
    pid
}

/// Waits until the child ends. If the child failed, this process exits with an error too.
fn wait_for(child: libc::pid_t) {
    let mut status = 0;
    // SAFETY: `status` is a valid pointer.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    if status != 0 {
        // A panic would wait for the threads that keep recording.
        eprintln!("the forked child failed: wait status {status}");
        std::process::exit(101);
    }
}

/// The number of warnings of the library that reached the subscriber.
static WARNINGS: AtomicU32 = AtomicU32::new(0);
/// A lock that the subscriber takes for each warning.
static SUBSCRIBER_LOCK: Mutex<()> = Mutex::new(());

struct WarningCounter;

impl<S: Subscriber> Layer<S> for WarningCounter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "audited" {
            let _guard = SUBSCRIBER_LOCK.lock().unwrap_or_else(PoisonError::into_inner);
            WARNINGS.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn set_subscriber_and_install_recorder() -> Audit {
    tracing_subscriber::registry().with(audited::layer()).with(WarningCounter).init();
    install_recorder()
}

fn path_of_child() -> PathBuf {
    path().with_extension("child.db")
}

/// The child uses the inherited recorder, and then installs its own.
pub(super) fn forks() {
    let audit = set_subscriber_and_install_recorder();
    step("before");
    match fork_in_a_call("fork") {
        0 => {
            use_inherited_recorder(&audit);
            let store = SqliteStore::open(path_of_child()).expect("the trail opens");
            let own = Audit::builder().store(store).install().expect("a recorder of the child");
            step("own");
            print_line(&format!("counts {:?}", own.counters().accepted));
            own.shutdown().expect("close succeeds");
            step("after own");
            drop(audit);
            print_line("child ends");
        }
        child => {
            wait_for(child);
            step("after");
            let counters = audit.counters();
            print_line(&format!(
                "parent has {} accepted, {} dropped",
                counters.accepted, counters.dropped
            ));
            audit.shutdown().expect("close succeeds");
            print_line(&format!("parent was warned {} times", WARNINGS.load(Ordering::SeqCst)));
        }
    }
}

fn use_inherited_recorder(audit: &Audit) {
    print_line(&format!("result {}", step("in child")));
    step("in child again");
    // The warning is emitted by a separate thread.
    while WARNINGS.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    step("in child once more");
    print_line(&format!("warned {} times", WARNINGS.load(Ordering::SeqCst)));
    for (method, result) in [
        ("flush", audit.flush()),
        ("history", audit.history_of("pilot", 1).map(drop)),
        ("all", audit.history_of("pilot", 2).map(drop)),
    ] {
        print_line(&format!(
            "{method} {}",
            result.expect_err("the recorder belongs to the parent")
        ));
    }
    print_line(&format!("health {:?}", audit.health().status));
    let context = audited::Context::new().recorder(audit);
    context.scope(|| step("in child by context"));
    let _ = audited::append(audited::Record::new(
        audited::record::Kind::Event,
        "step",
        chrono::Utc::now(),
    ));
}

/// At the fork, another thread holds the locks that a warning needs. The child must continue
/// anyway.
pub(super) fn forks_while_locked() {
    let mut audit = Some(set_subscriber_and_install_recorder());
    step("before");
    let (locked, forked) = (Barrier::new(2), Barrier::new(2));
    let child = thread::scope(|scope| {
        scope.spawn(|| {
            let _guards = (stderr().lock(), SUBSCRIBER_LOCK.lock());
            locked.wait();
            forked.wait();
        });
        locked.wait();
        let child = fork();
        if child == 0 {
            print_line(&format!("result {}", step("in child")));
            drop(audit.take());
            print_line("child ends");
            // The end of the scope would wait for a thread that does not exist in the child.
            std::process::exit(0);
        }
        forked.wait();
        wait_for(child);
        child
    });
    assert!(child > 0);
    step("after");
}

/// Forks many times while other threads record.
pub(super) fn forks_while_recording() {
    let audit = set_subscriber_and_install_recorder();
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
        let calls: u64 = recording.into_iter().map(|thread| thread.join().expect("no panic")).sum();
        audit.flush().expect("the store accepts everything");
        assert_eq!(audit.counters().accepted, calls);
        print_line(&format!("calls {calls}"));
    });
    audit.shutdown().expect("close succeeds");
}

/// Forks many times while the writer thread of the parent works in SQLite. Each child opens its own
/// trail.
/// Each child installs its own recorder, while the threads of the parent record. The store does
/// nothing, so that the threads are almost always in the queue and in the pool of spare calls.
pub(super) fn forks_that_record() {
    struct NullStore;

    impl Store for NullStore {
        fn write(&mut self, _: &[Record]) -> Result<(), Error> {
            Ok(())
        }
    }

    let install = || Audit::builder().store(NullStore).install().expect("a recorder");
    let audit = install();
    let stop = &AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    step("parent");
                }
            });
        }
        for _ in 0..1_000 {
            let child = fork();
            if child == 0 {
                let own = install();
                for _ in 0..50 {
                    step("child");
                }
                own.shutdown().expect("shutdown succeeds");
                assert_eq!(own.counters().written, 50);
                // SAFETY: ends the child at once, without the destructors of the parent's values.
                unsafe { libc::_exit(0) };
            }
            wait_for(child);
        }
        stop.store(true, Ordering::SeqCst);
    });
    audit.shutdown().expect("shutdown succeeds");
    print_line("parent ends");
}

pub(super) fn forks_while_the_store_writes() {
    let audit = &set_subscriber_and_install_recorder();
    let stop = &AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    step("parent");
                    audit.flush().expect("the store accepts everything");
                }
            });
        }
        for _ in 0..60 {
            let child = fork();
            if child == 0 {
                let store = match SqliteStore::open(path_of_child()) {
                    Ok(store) => store,
                    Err(error) => {
                        print_line(&format!("refused {error}"));
                        std::process::exit(0);
                    }
                };
                let own = Audit::builder().store(store).install().expect("a recorder of the child");
                step("child");
                own.shutdown().expect("close succeeds");
                std::process::exit(0);
            }
            wait_for(child);
        }
        stop.store(true, Ordering::SeqCst);
    });
}

/// The child opens the trail of its parent. The parent has it open at the first fork, and closes it
/// before the second.
pub(super) fn forks_and_opens_the_same_trail() {
    let audit = set_subscriber_and_install_recorder();
    step("before");
    let child = fork();
    if child == 0 {
        print_line(&SqliteStore::open(path()).expect_err("the parent has it open").to_string());
        return drop(audit);
    }
    wait_for(child);
    audit.shutdown().expect("close succeeds");
    let child = fork();
    if child == 0 {
        let own = install_recorder();
        step("in child");
        return own.shutdown().expect("close succeeds");
    }
    wait_for(child);
    print_line(&std::process::id().to_string());
}
