//! Recording never waits for a lock of the program, whoever holds it.
//!
//! Every test runs in a thread of its own with a time limit, because a call that waits for a lock
//! that its own thread holds never returns.

mod fields;
mod receivers;
#[path = "../shapes/record_access.rs"]
mod record_access;

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::rc::Rc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use audited::record::Truncation;
use audited::{Record, audit_method};
use dashmap::DashMap;
use record_access::{input, output, single_record};
use serde::{Serialize, Serializer};
use serde_json::json;

/// Returns the only record of `calls`, which must return soon.
#[track_caller]
fn soon(calls: impl FnOnce() + Send + 'static) -> Record {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let _ = sender.send(single_record(calls));
    });
    match receiver.recv_timeout(Duration::from_secs(20)) {
        Ok(record) => record,
        Err(RecvTimeoutError::Timeout) => panic!("the call waits for a lock"),
        Err(RecvTimeoutError::Disconnected) => panic!("the call panicked"),
    }
}

fn locks(paths: &[&str]) -> Vec<Truncation> {
    paths.iter().map(|path| Truncation::new(*path, "locks", 0, Some(1))).collect()
}

const A_LOCK: &str = "[not recorded: a lock]";
const HELD: &str = "[not recorded: the lock is held]";

// ---- locks that are arguments ------------------------------------------------------------------

#[audit_method]
fn take<T: Debug>(_lock: &Mutex<u8>, _shared: Arc<Mutex<u8>>, _generic: &T) {}

#[test]
fn a_mutex_is_recorded_unless_it_is_held() {
    let record = soon(|| take(&Mutex::new(1), Arc::new(Mutex::new(2)), &Mutex::new(3)));
    let generic = "Mutex { data: 3, poisoned: false, .. }";
    assert_eq!(input(&record), json!({"_lock": 1, "_shared": 2, "_generic": generic}));
    assert_eq!(record.truncated, []);

    let record = soon(|| {
        let shared = Arc::new(Mutex::new(2));
        let _guard = shared.lock();
        take(&shared, shared.clone(), &shared);
    });
    let generic = "Mutex { data: \"<locked>\", poisoned: false, .. }";
    assert_eq!(input(&record), json!({"_lock": HELD, "_shared": HELD, "_generic": generic}));
    assert_eq!(record.truncated, locks(&["input._lock", "input._shared"]));
}

#[test]
fn a_poisoned_lock_is_recorded_and_stays_as_it_was() {
    let lock = Arc::new(Mutex::new(4));
    let poisoner = lock.clone();
    let _ = thread::spawn(move || {
        let _guard = poisoner.lock();
        panic!("poisons the lock");
    })
    .join();
    let record = soon({
        let lock = lock.clone();
        move || take(&lock, lock.clone(), &())
    });
    assert_eq!(input(&record), json!({"_lock": 4, "_shared": 4, "_generic": "()"}));
    assert!(lock.is_poisoned());
}

#[test]
fn a_lock_is_not_poisoned_by_a_value_that_panics_in_it() {
    #[audit_method]
    fn look(_lock: &Mutex<Panics>) {}

    struct Panics;
    impl Serialize for Panics {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("in Serialize")
        }
    }

    let record = soon(|| {
        let lock = Mutex::new(Panics);
        look(&lock);
        assert!(!lock.is_poisoned());
    });
    assert_eq!(input(&record), json!({"_lock": "[not recorded: serialising it panicked]"}));
}

#[test]
fn a_read_guard_while_a_writer_waits_does_not_block() {
    #[audit_method]
    fn read(_lock: &RwLock<u8>, _list: &[Arc<RwLock<u8>>]) {}

    let record = soon(|| {
        let lock = Arc::new(RwLock::new(5));
        let _guard = lock.read();
        let writer = lock.clone();
        thread::spawn(move || *writer.write().unwrap_or_else(PoisonError::into_inner) += 1);
        // From then on, a reader that waits would wait for the writer.
        while lock.try_read().is_ok() {
            thread::yield_now();
        }
        read(&lock, std::slice::from_ref(&lock));
    });
    assert_eq!(input(&record), json!({"_lock": HELD, "_list": [A_LOCK]}));
    assert_eq!(record.truncated, locks(&["input._lock", "input._list[0]"]));
}

#[test]
fn a_lock_that_another_thread_holds_does_not_delay_a_call() {
    #[audit_method]
    fn unrelated(_state: &Arc<Mutex<u8>>) {}

    let lock = Arc::new(Mutex::new(6));
    let (locked, done) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let holder = thread::spawn({
        let (lock, locked, done) = (lock.clone(), locked.clone(), done.clone());
        move || {
            let _guard = lock.lock();
            locked.wait();
            // Until the call has returned.
            done.wait();
        }
    });
    locked.wait();
    let record = soon(move || unrelated(&lock));
    done.wait();
    holder.join().expect("the holder");
    assert_eq!(input(&record), json!({"_state": HELD}));
}

#[test]
fn guards_are_recorded_by_what_they_guard() {
    #[audit_method]
    fn with_guard(_guard: &MutexGuard<'_, u8>) {}

    let record = soon(|| with_guard(&Mutex::new(7).lock().expect("not poisoned")));
    assert_eq!(input(&record), json!({"_guard": "7"}));
}

// ---- locks inside other values -----------------------------------------------------------------

#[derive(Default, Serialize)]
struct Stats {
    name: &'static str,
    hits: Mutex<u64>,
    by_key: BTreeMap<String, Arc<RwLock<u64>>>,
    latest: Option<Mutex<u64>>,
    pair: (Box<Mutex<u64>>, u8),
}

#[test]
fn locks_inside_serialised_values_are_left_out() {
    #[audit_method]
    fn look(_stats: &Stats) {}

    let record = soon(|| {
        let stats = Stats {
            name: "a",
            by_key: BTreeMap::from([("k".to_owned(), Arc::default())]),
            latest: Some(Mutex::new(1)),
            ..Stats::default()
        };
        let _guards = (stats.hits.lock(), stats.by_key["k"].write(), stats.pair.0.lock());
        look(&stats);
    });
    let stats = json!({
        "name": "a", "hits": A_LOCK, "by_key": {"k": A_LOCK}, "latest": A_LOCK, "pair": [A_LOCK, 0]
    });
    assert_eq!(input(&record), json!({"_stats": stats}));
    let paths =
        ["hits", "by_key.k", "latest", "pair[0]"].map(|path| format!("input._stats.{path}"));
    assert_eq!(record.truncated, locks(&paths.each_ref().map(String::as_str)));
}

#[test]
fn generic_functions_and_their_results_leave_locks_out() {
    #[audit_method]
    fn same<T: Serialize + Send + Sync>(value: T) -> T {
        value
    }
    let record = soon(|| {
        let lock = Arc::new(Mutex::new(1));
        let _guard = lock.lock();
        same((lock.clone(), 2));
    });
    assert_eq!(input(&record), json!({"value": [A_LOCK, 2]}));
    assert_eq!(output(&record), json!([A_LOCK, 2]));
    let record = soon(|| {
        same("text");
    });
    assert_eq!((input(&record), output(&record)), (json!({"value": "text"}), json!("text")));
}

#[test]
fn fields_and_notes_leave_locks_out() {
    #[audit_method(skip_all, fields(lock = lock, list = [lock]))]
    fn with_fields(lock: &Arc<Mutex<u8>>) {
        audited::field("later", lock);
        audited::field("stats", Stats::default());
    }
    let record = soon(|| {
        let lock = Arc::new(Mutex::new(1));
        let _guard = lock.lock();
        with_fields(&lock);
    });
    let context = record.context.as_ref().expect("fields").to_value();
    let extra = &context["extra"];
    assert_eq!((&extra["lock"], &extra["list"]), (&json!(HELD), &json!([A_LOCK])));
    assert_eq!((&extra["later"], &extra["stats"]["hits"]), (&json!(A_LOCK), &json!(A_LOCK)));
}

#[test]
fn executed_closures_leave_locks_out() {
    let record = soon(|| {
        let lock = Arc::new(Mutex::new(1));
        let _guard = lock.lock();
        audited::execute!("run", "tests::run", &lock, || lock.clone());
    });
    assert_eq!((input(&record), output(&record)), (json!(A_LOCK), json!(HELD)));
}

// ---- locks of other crates ---------------------------------------------------------------------

#[derive(Debug, Default)]
struct State {
    sessions: DashMap<u8, u8>,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Handle {
    sessions: Arc<DashMap<u8, u8>>,
}

impl State {
    #[audit_method]
    fn touch(&self, session: &mut u8) {
        *session += 1;
    }
}

#[test]
fn a_map_that_locks_its_shards_is_recorded_by_its_type() {
    #[audit_method]
    fn map(_map: &DashMap<u8, u8>, _state: &State, _handle: Handle) {}

    let record = soon(|| {
        let state = State::default();
        let handle = Handle::default();
        state.sessions.insert(1, 1);
        handle.sessions.insert(1, 1);
        let _guards = (state.sessions.get_mut(&1), handle.sessions.get_mut(&1));
        map(&state.sessions, &state, handle.clone());
    });
    let value = input(&record);
    assert!(
        value["_map"].as_str().is_some_and(|name| name.starts_with("<&dashmap::DashMap<u8, u8"))
    );
    assert_eq!(value["_state"], json!("<&held_locks::State>"));
    assert_eq!(value["_handle"], json!("<held_locks::Handle>"));
    assert_eq!(record.truncated, locks(&["input._map", "input._state", "input._handle"]));

    let record = soon(|| {
        let state = State::default();
        state.sessions.insert(1, 1);
        state.touch(&mut state.sessions.get_mut(&1).expect("inserted"));
    });
    assert_eq!(input(&record), json!({"self": "<&held_locks::State>", "session": 1}));
}

#[test]
fn locks_of_parking_lot_and_tokio_are_not_waited_for() {
    #[audit_method]
    fn held(
        _mutex: &parking_lot::Mutex<u8>,
        _shared: Arc<parking_lot::RwLock<u8>>,
        _list: Vec<Arc<parking_lot::Mutex<u8>>>,
        _asynchronous: &tokio::sync::Mutex<u8>,
    ) {
    }
    let record = soon(|| {
        let (mutex, shared) = (parking_lot::Mutex::new(1), Arc::new(parking_lot::RwLock::new(2)));
        let (list, asynchronous) =
            (vec![Arc::new(parking_lot::Mutex::new(3))], tokio::sync::Mutex::new(4));
        let entry = list[0].clone();
        let _guards = (mutex.lock(), shared.write(), entry.lock(), asynchronous.try_lock());
        held(&mutex, shared.clone(), list, &asynchronous);
    });
    let value = input(&record);
    for (name, value) in value.as_object().expect("arguments") {
        assert!(value.as_str().is_some_and(|value| value.starts_with('<')), "{name}: {value}");
    }
    assert_eq!(record.truncated.len(), 4);
}

#[test]
fn generic_values_may_contain_locks_of_other_crates() {
    #[audit_method]
    fn look<T: Serialize + Sync>(_value: &T) {}

    let record = soon(|| {
        let lock = parking_lot::Mutex::new(1);
        let _guard = lock.lock();
        look(&(&lock, 2));
    });
    assert_eq!(input(&record), json!({"_value": [A_LOCK, 2]}));
}

// ---- values that only look like locks ----------------------------------------------------------

trait Shape: Debug {}
trait SharedShape: Debug + Send + Sync {}

#[derive(Debug)]
struct Circle;

impl Shape for Circle {}
impl SharedShape for Circle {}

#[test]
fn cells_and_trait_objects_are_recorded() {
    #[audit_method]
    fn cells(
        _cell: &RefCell<u8>,
        _shared: Rc<RefCell<u8>>,
        _once: &OnceCell<u8>,
        _atomic: &std::sync::atomic::AtomicU8,
        _once_lock: &std::sync::OnceLock<u8>,
    ) {
    }
    let record = soon(|| {
        let once = OnceCell::from(3);
        cells(&RefCell::new(1), Rc::default(), &once, &4.into(), &5.into());
    });
    let cells = json!({"_cell": 1, "_shared": 0, "_once": "OnceCell(3)", "_atomic": 4, "_once_lock": "OnceLock(5)"});
    assert_eq!(input(&record), cells);

    #[audit_method]
    #[allow(clippy::too_many_arguments, reason = "one of each kind")]
    fn objects(
        _local: &dyn Shape,
        _boxed: Box<dyn Shape>,
        _list: Vec<Box<dyn Shape>>,
        _shared: &dyn SharedShape,
        _counted: &Arc<dyn SharedShape>,
        _shared_list: Vec<Box<dyn SharedShape>>,
        _error: &(dyn std::error::Error + Send + Sync),
        _io: &std::io::Error,
    ) {
    }
    let record = soon(|| {
        let counted: Arc<dyn SharedShape> = Arc::new(Circle);
        let io = std::io::Error::other("no");
        let list: Vec<Box<dyn SharedShape>> = vec![Box::new(Circle)];
        objects(
            &Circle,
            Box::new(Circle),
            vec![Box::new(Circle)],
            &Circle,
            &counted,
            list,
            &io,
            &io,
        );
    });
    let io = "Custom { kind: Other, error: \"no\" }";
    let objects = json!({
        "_local": "Circle", "_boxed": "Circle", "_list": "[Circle]", "_shared": "Circle",
        "_counted": "Circle", "_shared_list": "[Circle]", "_error": io, "_io": io,
    });
    assert_eq!(input(&record), objects);
    assert_eq!(record.truncated, []);
}
