//! Other processes can read the counters of a recorder session until the recorder is closed without
//! losses.

#![cfg(all(target_os = "linux", feature = "sqlite"))]

use std::sync::{Arc, Mutex};

use audit_record::process::read_counters;
use audited::store::ChangeReader;
use audited::store::{RecorderSession, Store};
use audited::{Audit, Context, Error, Record};

/// A store that remembers its session, and fails in the methods that the test selects.
#[derive(Clone, Default)]
struct SessionStore {
    session: Arc<Mutex<Option<RecorderSession>>>,
    closed: Arc<Mutex<bool>>,
    fails_to_begin: bool,
    fails_to_open_reader: bool,
    fails_to_close: bool,
    fails_to_write: bool,
}

impl SessionStore {
    fn id(&self) -> uuid::Uuid {
        self.session.lock().unwrap().as_ref().expect("the session has begun").id
    }
}

fn fail_if(fails: bool) -> Result<(), Error> {
    if fails { Err(Error::permanent("the test makes it fail")) } else { Ok(()) }
}

impl Store for SessionStore {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        fail_if(self.fails_to_write)
    }

    fn begin(&mut self, session: &RecorderSession) -> Result<(), Error> {
        // The counters exist before the store can write its row about the session.
        assert_eq!(read_counters(session.id).expect("a page").accepted, 0);
        *self.session.lock().unwrap() = Some(session.clone());
        fail_if(self.fails_to_begin)
    }

    fn reader(&mut self) -> Result<Option<Box<dyn ChangeReader>>, Error> {
        fail_if(self.fails_to_open_reader).map(|()| None)
    }

    fn close(&mut self) -> Result<(), Error> {
        *self.closed.lock().unwrap() = true;
        fail_if(self.fails_to_close)
    }
}

fn call() {
    audited::execute("call", "tests::call", (), || ());
}

/// Records one call, closes the recorder, and checks that the counters of the session remain.
#[track_caller]
fn assert_failing_close_keeps_the_counters(store: SessionStore) {
    let audit = Audit::builder().store(store.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(call);
    assert!(audit.shutdown().is_err());
    assert_eq!(read_counters(store.id()).expect("a page").accepted, 1);
    audit_record::process::remove_counters(store.id());
}

#[test]
fn other_processes_can_read_the_counters_until_the_recorder_is_closed() {
    let store = SessionStore::default();
    let audit = Audit::builder().store(store.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| (0..3).for_each(|_| call()));
    let counts = read_counters(store.id()).expect("a page");
    assert_eq!((counts.accepted, counts.dropped), (3, 0));
    audit.shutdown().expect("the shutdown succeeds");
    assert_eq!(read_counters(store.id()), None);
}

/// The file in `/dev/shm` of the session.
fn shared_file(store: &SessionStore) -> std::path::PathBuf {
    let name = store.id().simple().to_string();
    let mut files = std::fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().path());
    files.find(|file| file.to_string_lossy().ends_with(&name)).expect("the file of the session")
}

/// If the counters were in the memory of a mapped file, `SIGBUS` would end the process.
#[test]
fn a_recorder_continues_after_its_shared_file_was_cut() {
    for content in [&b""[..], b"audited1", &[0; 4096]] {
        let store = SessionStore::default();
        let audit = Audit::builder().store(store.clone()).build().expect("a recorder");
        Context::new().recorder(&audit).scope(|| (0..3).for_each(|_| call()));
        std::fs::write(shared_file(&store), content).unwrap();
        Context::new().recorder(&audit).scope(|| (0..2).for_each(|_| call()));
        let counts = read_counters(store.id()).expect("the counters");
        assert_eq!((counts.accepted, counts.dropped), (5, 0));
        audit.flush().expect("everything is stored");
        assert_eq!(audit.counters().written, 5);
        audit.shutdown().expect("the shutdown succeeds");
        assert_eq!(read_counters(store.id()), None);
    }
}

#[test]
fn losses_that_no_gap_record_reports_keep_the_counters() {
    assert_failing_close_keeps_the_counters(SessionStore {
        fails_to_write: true,
        ..SessionStore::default()
    });
}

#[test]
fn a_recorder_that_fails_to_build_leaves_no_counters() {
    let store = SessionStore { fails_to_begin: true, ..SessionStore::default() };
    assert!(Audit::builder().store(store.clone()).build().is_err());
    assert_eq!(read_counters(store.id()), None);
}

#[test]
fn a_recorder_without_a_reader_ends_the_session_that_it_began() {
    let store = SessionStore { fails_to_open_reader: true, ..SessionStore::default() };
    assert!(Audit::builder().store(store.clone()).build().is_err());
    assert!(*store.closed.lock().unwrap(), "otherwise the next start reports it as dead");
    assert_eq!(read_counters(store.id()), None);
}

#[test]
fn a_store_that_fails_to_close_keeps_the_counters() {
    assert_failing_close_keeps_the_counters(SessionStore {
        fails_to_close: true,
        ..SessionStore::default()
    });
}
