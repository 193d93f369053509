//! `on_audit_failure = "refuse"` on functions of many shapes, and on futures.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use audited::{Context, Outcome, Record, Refused, audit_method, audited_fields, testing};

#[path = "support/gate.rs"]
mod gate;
#[path = "support/refusable.rs"]
mod refusable;

use gate::GatedStore;
use refusable::{
    BankError, REFUSAL_PREFIX, build_recorder, in_context_of, poll_once, refusal_text,
};

#[audited_fields(balance; key = id)]
struct Account {
    id: u64,
    balance: u32,
}

type BankResult<T> = Result<T, BankError>;

impl Account {
    #[audit_method(action = "draw", skip(self), on_audit_failure = "refuse")]
    fn draw(&mut self, cents: u32) -> BankResult<&u32> {
        self.balance -= cents;
        Ok(&self.balance)
    }

    #[audit_method(action = "tracked", skip(self), on_audit_failure = "refuse")]
    fn tracked(&mut self, (cents, _): (u32, String)) -> BankResult<u32> {
        self.balance -= cents;
        Ok(self.balance)
    }

    #[audit_method(action = "tracked async", skip(self), on_audit_failure = "refuse")]
    async fn tracked_async(&mut self, cents: u32) -> BankResult<u32> {
        self.balance -= cents;
        Ok(self.balance)
    }
}

trait Books {
    #[audit_method(action = "default", on_audit_failure = "refuse")]
    fn default_method<T: std::fmt::Debug>(
        &self,
        value: T,
    ) -> Result<T, Box<dyn std::error::Error>> {
        Ok(value)
    }
}

impl Books for u8 {}

#[track_caller]
#[audit_method(action = "caller line", skip(effects), on_audit_failure = "refuse")]
fn caller_line(effects: &Cell<u32>) -> BankResult<u32> {
    effects.set(effects.get() + 1);
    if effects.get() > 5 {
        return Err(BankError::Empty);
    }
    Ok(std::panic::Location::caller().line())
}

#[audit_method(action = "iterator", skip(effects), on_audit_failure = "refuse")]
fn iterator(effects: &Cell<u32>) -> BankResult<impl Iterator<Item = u32>> {
    effects.set(effects.get() + 1);
    Ok(0..3)
}

#[audit_method(action = "anyhow", skip(effects), on_audit_failure = "refuse")]
fn with_anyhow(effects: &Cell<u32>) -> anyhow::Result<u32> {
    effects.set(effects.get() + 1);
    Ok(3)
}

#[audit_method(action = "async", skip(effects), on_audit_failure = "refuse")]
async fn async_fn(n: u32, effects: &AtomicUsize) -> BankResult<u32> {
    effects.fetch_add(1, Ordering::SeqCst);
    tokio::task::yield_now().await;
    Ok(n)
}

#[audit_method(action = "impl future", skip(effects), on_audit_failure = "refuse")]
fn impl_future(n: u32, effects: &AtomicUsize) -> impl Future<Output = BankResult<u32>> + Send {
    async move {
        effects.fetch_add(1, Ordering::SeqCst);
        Ok(n)
    }
}

#[audit_method(action = "boxed", skip(effects), on_audit_failure = "refuse")]
fn boxed<'f>(
    n: u32,
    effects: &'f AtomicUsize,
) -> Pin<Box<dyn Future<Output = BankResult<u32>> + Send + 'f>> {
    Box::pin(async move {
        effects.fetch_add(1, Ordering::SeqCst);
        Ok(n)
    })
}

#[async_trait]
trait Ledger {
    async fn post(&mut self, n: u32, effects: &AtomicUsize) -> BankResult<u32>;
}

#[async_trait]
impl Ledger for Account {
    #[audit_method(action = "async_trait", skip(self, effects), on_audit_failure = "refuse")]
    async fn post(&mut self, n: u32, effects: &AtomicUsize) -> BankResult<u32> {
        effects.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.balance += n;
        Ok(self.balance)
    }
}

#[test]
fn functions_of_many_shapes_run_or_are_refused() {
    for store in [GatedStore::accepting(), GatedStore::rejecting_intents()] {
        let audit = build_recorder(&store);
        let runs = in_context_of(&audit, || iterator(&Cell::new(0)).is_ok());
        let effects = Cell::new(0);
        let mut account = Account { id: 1, balance: 100 };
        in_context_of(&audit, || {
            assert_eq!(account.draw(10).is_ok(), runs);
            assert_eq!(account.tracked((10, String::new())).is_ok(), runs);
            assert_eq!(3_u8.default_method("x").is_ok(), runs);
            assert_eq!(caller_line(&effects).is_ok(), runs);
            assert_eq!(iterator(&effects).is_ok(), runs);
            let with_anyhow = with_anyhow(&effects);
            assert_eq!(with_anyhow.is_ok(), runs);
            if let Err(error) = with_anyhow {
                assert!(error.is::<Refused>());
            }
        });
        assert_eq!((account.balance, effects.get()), if runs { (80, 3) } else { (100, 0) });
        audit.flush().expect("stored");
        let outcome = if runs { Outcome::Success } else { Outcome::Failure };
        assert_eq!(store.records().len(), 7);
        assert!(store.records().iter().all(|record| record.outcome == outcome));
        let changes: Vec<usize> =
            store.records().iter().map(|record| record.changes.len()).collect();
        assert_eq!(changes[2], usize::from(runs), "the call of `tracked`");
    }
}

#[test]
fn track_caller_still_reports_the_calling_line() {
    let store = GatedStore::accepting();
    let audit = build_recorder(&store);
    let effects = Cell::new(0);
    assert_eq!(in_context_of(&audit, || caller_line(&effects)), Ok(line!()));
    let without_intents = build_recorder(&GatedStore::rejecting_intents());
    refusal_text(in_context_of(&without_intents, || caller_line(&effects)));
    assert_eq!(effects.get(), 1);
}

fn assert_send<T: Send>(value: T) -> T {
    value
}

#[tokio::test]
async fn futures_of_many_shapes_run_or_are_refused() {
    for store in [GatedStore::accepting(), GatedStore::rejecting_intents()] {
        let audit = build_recorder(&store);
        let effects = AtomicUsize::new(0);
        let mut account = Account { id: 1, balance: 100 };
        let results = Context::new()
            .recorder(&audit)
            .wrap(async {
                [
                    assert_send(async_fn(1, &effects)).await,
                    assert_send(impl_future(2, &effects)).await,
                    assert_send(boxed(3, &effects)).await,
                    assert_send(account.post(4, &effects)).await,
                    assert_send(account.tracked_async(4)).await,
                ]
            })
            .await;
        audit.flush().expect("stored");
        let records = store.records();
        assert_eq!(records.len(), 5);
        if store.intents().is_empty() {
            assert!(
                results.into_iter().all(|result| refusal_text(result).starts_with(REFUSAL_PREFIX))
            );
            assert_eq!((effects.load(Ordering::SeqCst), account.balance), (0, 100));
            assert!(records.iter().all(|record| record.outcome == Outcome::Failure));
        } else {
            assert_eq!(results, [Ok(1), Ok(2), Ok(3), Ok(104), Ok(100)]);
            assert_eq!(effects.load(Ordering::SeqCst), 4);
            let ids = |records: &[Record]| records.iter().map(|one| one.id).collect::<Vec<_>>();
            assert_eq!(ids(&store.intents()), ids(&records));
            let methods = |records: &[Record]| {
                records.iter().map(|one| one.method.to_string()).collect::<Vec<_>>()
            };
            assert_eq!(methods(&store.intents()), methods(&records));
        }
    }
}

#[tokio::test]
async fn other_tasks_of_the_thread_run_while_a_call_waits_for_its_intent() {
    let effects = AtomicUsize::new(0);
    let mut account = Account { id: 1, balance: 100 };
    let calls: [Pin<Box<dyn Future<Output = BankResult<u32>>>>; 3] = [
        Box::pin(async_fn(100, &effects)),
        Box::pin(async { impl_future(100, &effects).await }),
        Box::pin(async { account.tracked_async(0).await }),
    ];
    for call in calls {
        let store = GatedStore::blocked();
        let audit = build_recorder(&store);
        let before = effects.load(Ordering::SeqCst);
        let unblock_later = async {
            while !store.has_received(1) {
                tokio::task::yield_now().await;
            }
            let since = Instant::now();
            std::thread::sleep(Duration::from_millis(5));
            assert_eq!(effects.load(Ordering::SeqCst), before);
            let blocked_for = since.elapsed();
            store.unblock();
            blocked_for
        };
        let call = Context::new().recorder(&audit).wrap(call);
        let (result, blocked_for) = tokio::join!(call, unblock_later);
        assert_eq!(result, Ok(100), "a blocked thread would lead to a refusal after a minute");
        audit.flush().expect("stored");
        let wait_us = store.records()[0].wait_us.expect("the call has waited");
        assert!(u128::from(wait_us) >= blocked_for.as_micros(), "{wait_us} µs, {blocked_for:?}");
    }
}

#[test]
fn a_future_dropped_while_it_waits_for_its_intent_is_recorded_as_cancelled() {
    let (store, effects) = (GatedStore::blocked(), AtomicUsize::new(0));
    let audit = build_recorder(&store);
    in_context_of(&audit, || {
        let mut call = Box::pin(async_fn(1, &effects));
        assert!(poll_once(call.as_mut()).is_pending());
        drop(call);
        // Futures that are never polled leave neither an intent nor a record.
        drop(async_fn(2, &effects));
        drop(impl_future(2, &effects));
    });
    store.unblock();
    audit.flush().expect("stored");
    let [record] = &store.records()[..] else { panic!("one record") };
    assert_eq!(record.outcome, Outcome::Cancelled);
    assert!(record.wait_us.is_some(), "it waited until it was dropped");
    assert_eq!(effects.load(Ordering::SeqCst), 0);
    assert!(store.intents().iter().all(|intent| intent.id == record.id));
}

#[test]
fn futures_recorded_in_memory_run_without_waiting() {
    let effects = AtomicUsize::new(0);
    let records = testing::capture(|| {
        assert_eq!(poll_once(pin!(impl_future(1, &effects))), Poll::Ready(Ok(1)));
        assert_eq!(poll_once(boxed(2, &effects).as_mut()), Poll::Ready(Ok(2)));
    });
    assert_eq!((records.len(), effects.load(Ordering::SeqCst)), (2, 2));
}

#[test]
fn a_future_without_a_recorder_is_refused() {
    let effects = AtomicUsize::new(0);
    let refusal = |poll| match poll {
        Poll::Ready(result) => refusal_text(result),
        Poll::Pending => panic!("the future must be ready at once"),
    };
    let refusals = [
        refusal(poll_once(pin!(async_fn(1, &effects)))),
        refusal(poll_once(pin!(impl_future(1, &effects)))),
        refusal(poll_once(boxed(1, &effects).as_mut())),
    ];
    assert!(refusals.iter().all(|why| why.contains("no active recorder")), "{refusals:?}");
    assert_eq!(effects.load(Ordering::SeqCst), 0);
}
