//! Audited futures wait until their record is stored. Where possible, they do so without blocking
//! the executor's thread.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context as Task, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use audited::{
    Audit, Context, Durability, Outcome, Tracked, audit_method, audited_fields, testing,
};

#[path = "support/gate.rs"]
mod gate;

use gate::GatedStore;

/// Longer than any test may take. Only a call that blocks the thread which would open the store
/// waits for this long.
const NEVER: Duration = Duration::from_secs(60);

fn recorder(store: &GatedStore) -> Audit {
    Audit::builder()
        .store(store.clone())
        .durability(Durability::Process)
        .wait_limit(NEVER)
        .build()
        .expect("a recorder")
}

fn assert_send<T: Send>(value: T) -> T {
    value
}

fn assert_all<T: Send + Sync + UnwindSafe + RefUnwindSafe>(_: &T) {}

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Task::from_waker(Waker::noop()))
}

async fn yield_now() {
    tokio::task::yield_now().await;
}

// ---- without blocking --------------------------------------------------------------------------

#[audit_method]
async fn plain(n: u32) -> u32 {
    yield_now().await;
    n + 1
}

#[audit_method(durability = "power")]
async fn failing(n: u32) -> Result<u32, String> {
    n.checked_sub(1).ok_or_else(|| "nothing left".to_owned())
}

#[audit_method(durability = "power")]
async fn generic<T: Clone + Send>(value: &T) -> T {
    value.clone()
}

#[audit_method]
async fn borrowed(text: &str) -> &str {
    yield_now().await;
    text.trim()
}

#[audit_method(durability = "process")]
fn impl_future(n: u32) -> impl Future<Output = u32> {
    async move { n + 1 }
}

#[audit_method]
fn boxed(n: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    Box::pin(async move { n + 1 })
}

type Local = Rc<u32>;

#[audit_method]
fn local_box(n: Local) -> Pin<Box<dyn Future<Output = Local>>> {
    Box::pin(async move { n })
}

#[audited_fields(age; key = id)]
struct Pilot {
    id: u64,
    age: u8,
}

impl Pilot {
    #[audit_method(durability = "power")]
    async fn grow(&mut self) -> u8 {
        yield_now().await;
        self.age += 1;
        self.age
    }
}

#[async_trait]
trait Ledger {
    async fn post(&mut self, amount: u32) -> Result<u32, String>;
}

struct Book(u32);

#[async_trait]
impl Ledger for Book {
    #[audit_method(skip(self))]
    async fn post(&mut self, amount: u32) -> Result<u32, String> {
        yield_now().await;
        self.0 = self.0.checked_sub(amount).ok_or("overdrawn")?;
        Ok(self.0)
    }
}

/// Runs `call` while another task on the same thread opens the store, once the writer thread has
/// reached it. If `call` blocked the thread, the store would never open.
async fn run_beside_another_task<F: Future>(call: F) -> (F::Output, GatedStore) {
    let store = GatedStore::blocked();
    let audit = recorder(&store);
    let opens = async {
        while !store.has_received(1) {
            yield_now().await;
        }
        assert!(store.batches().is_empty());
        store.unblock();
    };
    let (value, ()) = tokio::join!(Context::new().recorder(&audit).wrap(call), opens);
    assert_eq!(store.records().len(), 1, "the record was stored when the call returned");
    assert_eq!(audit.counters().unconfirmed, 0, "the thread was blocked");
    (value, store)
}

#[tokio::test]
async fn other_tasks_of_the_thread_run_while_a_call_waits() {
    assert_eq!(run_beside_another_task(plain(1)).await.0, 2);
    let (value, store) = run_beside_another_task(failing(0)).await;
    assert_eq!(value, Err("nothing left".to_owned()));
    assert_eq!(store.records()[0].outcome, Outcome::Failure);
    assert_eq!(store.batches()[0].durability, Durability::Power);
    assert_eq!(run_beside_another_task(generic(&7)).await.0, 7);
    assert_eq!(run_beside_another_task(borrowed(" text ")).await.0, "text");
    assert_eq!(run_beside_another_task(async { impl_future(1).await }).await.0, 2);
    assert_eq!(run_beside_another_task(async { boxed(1).await }).await.0, 2);
    assert_eq!(*run_beside_another_task(async { local_box(Rc::new(1)).await }).await.0, 1);
    assert_eq!(run_beside_another_task(async { Book(5).post(2).await }).await.0, Ok(3));
    let mut pilot = Pilot { id: 340, age: 25 };
    let (age, store) = run_beside_another_task(pilot.grow()).await;
    assert_eq!((age, store.records()[0].changes.len()), (26, 1));
}

// ---- where waiting as a future would change the future's type ----------------------------------

#[audit_method]
async fn non_send_value(n: u32) -> Rc<u32> {
    Rc::new(n)
}

#[audit_method(durability = "power")]
async fn non_send_value_in_result(n: u32) -> Result<Rc<u32>, Box<dyn std::error::Error>> {
    Ok(Rc::new(n))
}

#[audit_method]
async fn generic_value<T>(make: fn() -> T) -> T {
    make()
}

#[audit_method]
async fn opaque(n: u32) -> impl Fn() -> Rc<u32> {
    move || Rc::new(n)
}

#[audit_method]
async fn opaque_in_result(n: u32) -> Result<impl Fn() -> Rc<u32>, String> {
    Ok(move || Rc::new(n))
}

#[audit_method]
fn non_send_in_a_future(n: u32) -> impl Future<Output = Local> + Send {
    async move { Rc::new(n) }
}

#[audit_method]
fn non_send_in_a_box(n: u32) -> Pin<Box<dyn Future<Output = Local> + Send>> {
    Box::pin(async move { Rc::new(n) })
}

#[audit_method]
async fn not_sync(n: u32) -> Result<Cell<u32>, Box<dyn std::error::Error + Send>> {
    Ok(Cell::new(n))
}

#[test]
fn a_future_keeps_its_auto_traits() {
    assert_all(&non_send_value(1));
    assert_all(&non_send_value_in_result(1));
    assert_all(&generic_value(|| Rc::new(1)));
    assert_all(&opaque(1));
    assert_all(&opaque_in_result(1));
    drop(assert_send(non_send_in_a_future(1)));
    drop(assert_send(non_send_in_a_box(1)));
    // The value is `Send` but not `Sync`, so the future must not store it.
    assert_all(&not_sync(1));
}

#[tokio::test]
async fn a_call_whose_value_cannot_be_held_blocks_the_thread() {
    let store = GatedStore::accepting();
    let audit = recorder(&store);
    let mut stored = 0;
    let mut assert_stored = |value: u32| {
        stored += 1;
        assert_eq!((value, store.records().len()), (stored, usize::try_from(stored).unwrap()));
    };
    Context::new()
        .recorder(&audit)
        .wrap(async {
            assert_stored(*non_send_value(1).await);
            assert_stored(*non_send_value_in_result(2).await.expect("a value"));
            assert_stored(*generic_value(|| Rc::new(3)).await);
            assert_stored(*(opaque(4).await)());
            assert_stored(*(opaque_in_result(5).await.expect("a value"))());
            assert_stored(*non_send_in_a_future(6).await);
            assert_stored(*non_send_in_a_box(7).await);
            assert_stored(audited::execute_async("direct", "m", (), async { 8 }).await);
        })
        .await;
    assert_eq!(audit.counters().unconfirmed, 0);
}

// ---- futures that are dropped ------------------------------------------------------------------

#[audit_method(action = "pending", durability = "power")]
async fn never_ready() {
    std::future::pending::<()>().await;
}

#[test]
fn a_dropped_future_does_not_wait() {
    let store = GatedStore::blocked();
    let audit = recorder(&store);
    Context::new().recorder(&audit).scope(|| {
        let mut future = Box::pin(never_ready());
        assert!(poll_once(future.as_mut()).is_pending());
        // If the drop waited, it would never return.
        drop(future);
    });
    store.unblock();
    audit.flush().expect("stored");
    assert_eq!(store.records()[0].outcome, Outcome::Cancelled);
    assert_eq!(audit.counters().unconfirmed, 0);
}

#[test]
fn a_dropped_save_future_does_not_wait() {
    let store = GatedStore::blocked();
    let audit = recorder(&store);
    Context::new().recorder(&audit).scope(|| {
        let mut pilot = Tracked::loaded(Pilot { id: 340, age: 25 });
        pilot.age = 26;
        let mut save = Box::pin(pilot.save_async(async |_| {
            std::future::pending::<()>().await;
            Ok::<(), String>(())
        }));
        assert!(poll_once(save.as_mut()).is_pending());
        // If the drop waited, it would last as long as the wait limit.
        drop(save);
    });
    store.unblock();
    audit.flush().expect("stored");
    assert_eq!(store.records()[0].outcome, Outcome::Cancelled);
    assert_eq!(audit.counters().unconfirmed, 0);
}

#[test]
fn a_future_dropped_while_it_waits_is_recorded_once_as_success() {
    let store = GatedStore::blocked();
    let audit = recorder(&store);
    Context::new().recorder(&audit).scope(|| {
        let mut future = Box::pin(failing(1));
        assert!(poll_once(future.as_mut()).is_pending());
        let mut other = boxed(1);
        assert!(poll_once(other.as_mut()).is_pending());
        drop((future, other));
    });
    store.unblock();
    audit.flush().expect("stored");
    let outcomes: Vec<Outcome> = store.records().iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [Outcome::Success, Outcome::Success]);
}

#[test]
fn a_queued_future_is_ready_without_waiting() {
    #[audit_method(durability = "queued")]
    async fn queued(n: u32) -> u32 {
        n + 1
    }
    #[audit_method(durability = "queued")]
    fn queued_future(n: u32) -> impl Future<Output = u32> {
        async move { n + 1 }
    }
    let store = GatedStore::blocked();
    let audit = recorder(&store);
    Context::new().recorder(&audit).scope(|| {
        assert_eq!(poll_once(pin!(queued(1))), Poll::Ready(2));
        assert_eq!(poll_once(pin!(queued_future(1))), Poll::Ready(2));
    });
    store.unblock();
}

#[test]
fn futures_do_not_wait_under_testing_capture() {
    let records = testing::capture(|| {
        assert_eq!(poll_once(pin!(failing(1))), Poll::Ready(Ok(0)));
        assert_eq!(poll_once(boxed(1).as_mut()), Poll::Ready(2));
    });
    assert_eq!(records.len(), 2);
}

#[test]
fn a_panicking_future_waits_on_the_thread() {
    #[audit_method]
    async fn panics(n: u32) -> u32 {
        yield_now().await;
        panic!("{n} is too much")
    }
    let store = GatedStore::accepting();
    let audit = recorder(&store);
    Context::new().recorder(&audit).scope(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let caught = catch_unwind(AssertUnwindSafe(|| runtime.block_on(panics(3))));
        assert!(caught.is_err());
        assert_eq!(store.records()[0].outcome, Outcome::Panic);
    });
}

#[tokio::test]
async fn a_future_waits_no_longer_than_the_wait_limit() {
    let store = GatedStore::busy();
    let audit = Audit::builder()
        .store(store.clone())
        .wait_limit(Duration::from_millis(1))
        .build()
        .expect("a recorder");
    assert_eq!(Context::new().recorder(&audit).wrap(failing(1)).await, Ok(0));
    assert_eq!(audit.counters().unconfirmed, 1);
    assert!(store.batches().is_empty());
    store.unblock();
    while audit.flush().is_err() {}
    assert_eq!(store.records().len(), 1);
}
