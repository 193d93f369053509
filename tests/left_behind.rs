//! What a recorder has counted is readable by others, until it is closed in order.

#![cfg(all(target_os = "linux", feature = "sqlite"))]

use std::sync::{Arc, Mutex};

use audit_core::history::ChangeReader;
use audit_record::process::left_behind;
use audited::{Audit, Context, Error, Record, Session, Sink};

/// Remembers its session, and takes records, or fails as it is told.
#[derive(Clone, Default)]
struct Remembers {
    session: Arc<Mutex<Option<Session>>>,
    closed: Arc<Mutex<bool>>,
    fails_to_begin: bool,
    fails_to_be_read: bool,
    fails_to_close: bool,
    fails_to_write: bool,
}

impl Remembers {
    fn id(&self) -> uuid::Uuid {
        self.session.lock().unwrap().as_ref().expect("it has begun").id
    }
}

fn failing(fails: bool) -> Result<(), Error> {
    if fails { Err(Error::permanent("it was told to fail")) } else { Ok(()) }
}

impl Sink for Remembers {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        failing(self.fails_to_write)
    }

    fn begin(&mut self, session: &Session) -> Result<(), Error> {
        // As soon as a store may write the session down, its counters are there.
        assert_eq!(left_behind(session.id).expect("a page").accepted, 0);
        *self.session.lock().unwrap() = Some(session.clone());
        failing(self.fails_to_begin)
    }

    fn reader(&mut self) -> Result<Option<Box<dyn ChangeReader>>, Error> {
        failing(self.fails_to_be_read).map(|()| None)
    }

    fn close(&mut self) -> Result<(), Error> {
        *self.closed.lock().unwrap() = true;
        failing(self.fails_to_close)
    }
}

fn call() {
    audited::execute("call", "tests::call", (), || ());
}

#[test]
fn what_is_offered_is_counted_where_others_can_read_it() {
    let store = Remembers::default();
    let audit = Audit::builder().store(store.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| (0..3).for_each(|_| call()));
    let counted = left_behind(store.id()).expect("a page");
    assert_eq!((counted.accepted, counted.dropped), (3, 0));
    audit.close().expect("it closes in order");
    assert_eq!(left_behind(store.id()), None);
}

#[test]
fn what_the_trail_could_not_be_told_stays_to_be_read() {
    let store = Remembers { fails_to_write: true, ..Remembers::default() };
    let audit = Audit::builder().store(store.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(call);
    assert!(audit.close().is_err());
    assert_eq!(left_behind(store.id()).expect("a page").accepted, 1);
    audit_record::process::forget(store.id());
}

#[test]
fn a_recorder_that_is_not_built_leaves_nothing() {
    let store = Remembers { fails_to_begin: true, ..Remembers::default() };
    assert!(Audit::builder().store(store.clone()).build().is_err());
    assert_eq!(left_behind(store.id()), None);
}

#[test]
fn a_recorder_that_can_not_be_read_ends_the_session_that_it_has_begun() {
    let store = Remembers { fails_to_be_read: true, ..Remembers::default() };
    assert!(Audit::builder().store(store.clone()).build().is_err());
    assert!(*store.closed.lock().unwrap(), "else the next start takes it for dead");
    assert_eq!(left_behind(store.id()), None);
}

#[test]
fn a_session_that_did_not_close_in_order_leaves_its_counters() {
    let store = Remembers { fails_to_close: true, ..Remembers::default() };
    let audit = Audit::builder().store(store.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(call);
    assert!(audit.close().is_err());
    assert_eq!(left_behind(store.id()).expect("a page").accepted, 1);
    audit_record::process::forget(store.id());
}
