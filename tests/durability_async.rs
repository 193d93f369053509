//! How futures wait until their record is stored: without blocking their executor's thread, where that is possible.

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

use gate::Gate;

/// Longer than any test may last: only what blocks the thread that would open the store waits for so long.
const FOR_EVER: Duration = Duration::from_secs(60);

fn recorder(store: &Gate) -> Audit {
    Audit::builder()
        .store(store.clone())
        .durability(Durability::Process)
        .wait_limit(FOR_EVER)
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

// ---- without blocking -----------------------------------------------------------------------------------

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

/// Runs `call` on a thread of its own runtime, while another task of it opens the store once the writer has come.
/// Were the thread blocked, the store would stay shut for ever.
async fn beside_another_task<F: Future>(call: F) -> (F::Output, Gate) {
    let store = Gate::shut();
    let audit = recorder(&store);
    let opens = async {
        while !store.has_come(1) {
            yield_now().await;
        }
        assert!(store.seen().is_empty());
        store.let_in();
    };
    let (value, ()) = tokio::join!(Context::new().recorder(&audit).wrap(call), opens);
    assert_eq!(store.records().len(), 1, "it was stored when the call was done");
    assert_eq!(audit.counters().unconfirmed, 0, "the thread was blocked");
    (value, store)
}

#[tokio::test]
async fn other_tasks_of_the_thread_run_while_a_call_waits() {
    assert_eq!(beside_another_task(plain(1)).await.0, 2);
    let (value, store) = beside_another_task(failing(0)).await;
    assert_eq!(value, Err("nothing left".to_owned()));
    assert_eq!(store.records()[0].outcome, Outcome::Failure);
    assert_eq!(store.seen()[0].durability, Durability::Power);
    assert_eq!(beside_another_task(generic(&7)).await.0, 7);
    assert_eq!(beside_another_task(borrowed(" text ")).await.0, "text");
    assert_eq!(beside_another_task(async { impl_future(1).await }).await.0, 2);
    assert_eq!(beside_another_task(async { boxed(1).await }).await.0, 2);
    assert_eq!(*beside_another_task(async { local_box(Rc::new(1)).await }).await.0, 1);
    assert_eq!(beside_another_task(async { Book(5).post(2).await }).await.0, Ok(3));
    let mut pilot = Pilot { id: 340, age: 25 };
    let (age, store) = beside_another_task(pilot.grow()).await;
    assert_eq!((age, store.records()[0].changes.len()), (26, 1));
}

// ---- where that would change the future -----------------------------------------------------------------

#[audit_method]
async fn local_value(n: u32) -> Rc<u32> {
    Rc::new(n)
}

#[audit_method(durability = "power")]
async fn local_value_durable(n: u32) -> Result<Rc<u32>, Box<dyn std::error::Error>> {
    Ok(Rc::new(n))
}

#[audit_method]
async fn of_any_type<T>(make: fn() -> T) -> T {
    make()
}

#[audit_method]
async fn hidden(n: u32) -> impl Fn() -> Rc<u32> {
    move || Rc::new(n)
}

#[audit_method]
async fn partly_hidden(n: u32) -> Result<impl Fn() -> Rc<u32>, String> {
    Ok(move || Rc::new(n))
}

#[audit_method]
fn local_in_a_future(n: u32) -> impl Future<Output = Local> + Send {
    async move { Rc::new(n) }
}

#[audit_method]
fn local_in_a_box(n: u32) -> Pin<Box<dyn Future<Output = Local> + Send>> {
    Box::pin(async move { Rc::new(n) })
}

#[audit_method]
async fn not_sync(n: u32) -> Result<Cell<u32>, Box<dyn std::error::Error + Send>> {
    Ok(Cell::new(n))
}

#[test]
fn a_future_is_what_it_was_without_the_attribute() {
    assert_all(&local_value(1));
    assert_all(&local_value_durable(1));
    assert_all(&of_any_type(|| Rc::new(1)));
    assert_all(&hidden(1));
    assert_all(&partly_hidden(1));
    drop(assert_send(local_in_a_future(1)));
    drop(assert_send(local_in_a_box(1)));
    // Its value may go to another thread, but not be shared: it must not be seen in the future.
    assert_all(&not_sync(1));
}

#[tokio::test]
async fn a_value_that_must_not_be_kept_waits_on_the_thread() {
    let store = Gate::open();
    let audit = recorder(&store);
    let mut stored = 0;
    let mut one_more = |value: u32| {
        stored += 1;
        assert_eq!((value, store.records().len()), (stored, usize::try_from(stored).unwrap()));
    };
    Context::new()
        .recorder(&audit)
        .wrap(async {
            one_more(*local_value(1).await);
            one_more(*local_value_durable(2).await.expect("a value"));
            one_more(*of_any_type(|| Rc::new(3)).await);
            one_more(*(hidden(4).await)());
            one_more(*(partly_hidden(5).await.expect("a value"))());
            one_more(*local_in_a_future(6).await);
            one_more(*local_in_a_box(7).await);
            one_more(audited::execute_async("direct", "m", (), async { 8 }).await);
        })
        .await;
    assert_eq!(audit.counters().unconfirmed, 0);
}

// ---- not done yet ---------------------------------------------------------------------------------------

#[audit_method(action = "endless", durability = "power")]
async fn endless() {
    std::future::pending::<()>().await;
}

#[test]
fn a_dropped_future_does_not_wait() {
    let store = Gate::shut();
    let audit = recorder(&store);
    Context::new().recorder(&audit).scope(|| {
        let mut future = Box::pin(endless());
        assert!(poll_once(future.as_mut()).is_pending());
        // Were it to wait, this would never end.
        drop(future);
    });
    store.let_in();
    audit.flush().expect("stored");
    assert_eq!(store.records()[0].outcome, Outcome::Cancelled);
    assert_eq!(audit.counters().unconfirmed, 0);
}

#[test]
fn a_dropped_save_does_not_wait() {
    let store = Gate::shut();
    let audit = recorder(&store);
    Context::new().recorder(&audit).scope(|| {
        let mut pilot = Tracked::loaded(Pilot { id: 340, age: 25 });
        pilot.age = 26;
        let mut save = Box::pin(pilot.save_async(async |_| {
            std::future::pending::<()>().await;
            Ok::<(), String>(())
        }));
        assert!(poll_once(save.as_mut()).is_pending());
        // Were it to wait, that would last as long as the limit.
        drop(save);
    });
    store.let_in();
    audit.flush().expect("stored");
    assert_eq!(store.records()[0].outcome, Outcome::Cancelled);
    assert_eq!(audit.counters().unconfirmed, 0);
}

#[test]
fn a_future_dropped_while_it_waits_was_a_success_once() {
    let store = Gate::shut();
    let audit = recorder(&store);
    Context::new().recorder(&audit).scope(|| {
        let mut future = Box::pin(failing(1));
        assert!(poll_once(future.as_mut()).is_pending());
        let mut other = boxed(1);
        assert!(poll_once(other.as_mut()).is_pending());
        drop((future, other));
    });
    store.let_in();
    audit.flush().expect("stored");
    let outcomes: Vec<Outcome> = store.records().iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [Outcome::Success, Outcome::Success]);
}

#[test]
fn a_queued_call_is_done_at_once() {
    #[audit_method(durability = "queued")]
    async fn queued(n: u32) -> u32 {
        n + 1
    }
    #[audit_method(durability = "queued")]
    fn queued_future(n: u32) -> impl Future<Output = u32> {
        async move { n + 1 }
    }
    let store = Gate::shut();
    let audit = recorder(&store);
    Context::new().recorder(&audit).scope(|| {
        assert_eq!(poll_once(pin!(queued(1))), Poll::Ready(2));
        assert_eq!(poll_once(pin!(queued_future(1))), Poll::Ready(2));
    });
    store.let_in();
}

#[test]
fn in_memory_nothing_is_waited_for() {
    let records = testing::capture(|| {
        assert_eq!(poll_once(pin!(failing(1))), Poll::Ready(Ok(0)));
        assert_eq!(poll_once(boxed(1).as_mut()), Poll::Ready(2));
    });
    assert_eq!(records.len(), 2);
}

#[test]
fn a_panic_waits_on_the_thread() {
    #[audit_method]
    async fn panics(n: u32) -> u32 {
        yield_now().await;
        panic!("{n} is too much")
    }
    let store = Gate::open();
    let audit = recorder(&store);
    Context::new().recorder(&audit).scope(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let caught = catch_unwind(AssertUnwindSafe(|| runtime.block_on(panics(3))));
        assert!(caught.is_err());
        assert_eq!(store.records()[0].outcome, Outcome::Panic);
    });
}

#[tokio::test]
async fn a_future_waits_no_longer_than_the_limit() {
    let store = Gate::busy();
    let audit = Audit::builder()
        .store(store.clone())
        .wait_limit(Duration::from_millis(1))
        .build()
        .expect("a recorder");
    assert_eq!(Context::new().recorder(&audit).wrap(failing(1)).await, Ok(0));
    assert_eq!(audit.counters().unconfirmed, 1);
    assert!(store.seen().is_empty());
    store.let_in();
    while audit.flush().is_err() {}
    assert_eq!(store.records().len(), 1);
}
