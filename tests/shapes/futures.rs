//! Shapes 29 to 35 and 61: the traits, size, and nesting depth of audited futures.

use std::cell::{Cell, RefCell};
use std::future::{Ready, ready};
use std::pin::Pin;
use std::rc::Rc;

use async_trait::async_trait;
use audited::{Outcome, audit_method, testing};
use serde_json::{Value, json};

use crate::record_access::{error_message, find_record, input, only_record, output};

type BoxFuture<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;

fn assert_send<T: Send>(value: T) -> T {
    value
}

// ---- 29 -----------------------------------------------------------------------------------------

#[async_trait]
trait Ledger {
    async fn post(&mut self, amount: u32) -> Result<u32, String>;
    async fn open(name: &str, (rate, _): (u32, u32)) -> u32
    where
        Self: Sized;
    #[audit_method]
    async fn close(&self, reason: &str) -> String {
        tokio::task::yield_now().await;
        format!("closed: {reason}")
    }
}

struct Book(u32);

#[async_trait]
impl Ledger for Book {
    #[audit_method(skip(self))]
    async fn post(&mut self, amount: u32) -> Result<u32, String> {
        tokio::task::yield_now().await;
        self.0 = self.0.checked_sub(amount).ok_or("overdrawn")?;
        Ok(self.0)
    }

    #[audit_method]
    async fn open(name: &str, (rate, _): (u32, u32)) -> u32 {
        tokio::task::yield_now().await;
        rate + u32::try_from(name.len()).unwrap_or(0)
    }
}

#[tokio::test]
async fn n29_methods_inside_async_trait_are_recorded() {
    let mut book = Book(10);
    let records = testing::capture_async(async {
        assert_eq!(assert_send(book.post(4)).await, Ok(6));
        assert_eq!(book.post(7).await, Err("overdrawn".to_owned()));
        assert_eq!(book.close("year's end").await, "closed: year's end");
    })
    .await;
    let [paid, failed, closed] = &records[..] else { panic!("three records, got {records:#?}") };
    assert_eq!((input(paid), output(paid)), (json!({"amount": 4}), json!(6)));
    assert_eq!(paid.outcome, Outcome::Success);
    assert_eq!(paid.method, "<shapes_async::futures::Book as shapes_async::futures::Ledger>::post");
    assert_eq!((failed.outcome, error_message(failed)), (Outcome::Failure, "overdrawn"));
    assert_eq!(input(closed)["reason"], "year's end");
    assert_eq!((closed.outcome, output(closed)), (Outcome::Success, json!("closed: year's end")));
}

#[tokio::test]
async fn n29_an_async_trait_method_without_self_is_recorded() {
    let record =
        only_record(testing::capture_async(async { Book::open("abc", (7, 8)).await }).await);
    // `async_trait` replaces patterns with generated names before the attribute sees them.
    assert_eq!(input(&record), json!({"name": "abc", "__arg1": [7, 8]}));
    assert_eq!((record.outcome, output(&record)), (Outcome::Success, json!(10)));
}

#[tokio::test]
async fn n29_a_dropped_async_trait_future_is_cancelled_only_if_it_was_polled() {
    let mut book = Book(10);
    assert!(testing::capture_async(async { drop(book.post(1)) }).await.is_empty());
    let record = only_record(
        testing::capture_async(async {
            tokio::select! { biased; _ = book.post(1) => unreachable!(), () = ready(()) => {} }
        })
        .await,
    );
    assert_eq!(record.outcome, Outcome::Cancelled);
}

// ---- 30 -----------------------------------------------------------------------------------------

trait Boxed: Future + Sized + Send + 'static {
    fn boxed(self) -> BoxFuture<'static, Self::Output> {
        Box::pin(self)
    }
}

impl<F: Future + Send + 'static> Boxed for F {}

#[audit_method]
fn later(n: u32, seen: &Cell<u32>) -> impl Future<Output = Result<u32, String>> + Send + use<> {
    seen.set(seen.get() + 1);
    async move {
        tokio::task::yield_now().await;
        if n > 3 { Err(format!("{n} is too many")) } else { Ok(n) }
    }
}

#[audit_method]
fn boxed_at_the_end(n: u32) -> BoxFuture<'static, u32> {
    let twice = n * 2;
    async move { twice + 1 }.boxed()
}

fn helper(n: u32) -> BoxFuture<'static, Result<u32, String>> {
    Box::pin(async move { n.checked_sub(5).ok_or_else(|| "below zero".to_owned()) })
}

#[audit_method]
fn from_a_helper(n: u32) -> Pin<Box<dyn Future<Output = Result<u32, String>> + Send>> {
    helper(n)
}

#[audit_method]
fn local_box(n: Rc<u32>) -> Pin<Box<dyn Future<Output = u32>>> {
    Box::pin(async move { *n })
}

#[tokio::test]
async fn n30_impl_future_records_the_output_of_the_future() {
    let seen = Cell::new(0);
    let records = testing::capture_async(async {
        assert_eq!(assert_send(later(3, &seen)).await, Ok(3));
        assert_eq!(later(4, &seen).await, Err("4 is too many".to_owned()));
        drop(later(5, &seen));
    })
    .await;
    let [done, failed] = &records[..] else { panic!("two records, got {records:#?}") };
    assert_eq!((done.outcome, output(done)), (Outcome::Success, json!(3)));
    assert_eq!(input(done)["n"], 3);
    assert_eq!((failed.outcome, error_message(failed)), (Outcome::Failure, "4 is too many"));
    assert_eq!(seen.get(), 3, "the code before the future runs when the function is called");
}

#[tokio::test]
async fn n30_boxed_futures_are_recognised_by_their_type() {
    let records = testing::capture_async(async {
        assert_eq!(boxed_at_the_end(4).await, 9);
        assert_eq!(from_a_helper(7).await, Ok(2));
        assert_eq!(from_a_helper(4).await, Err("below zero".to_owned()));
        assert_eq!(local_box(Rc::new(8)).await, 8);
    })
    .await;
    let [boxed, helped, failed, local] = &records[..] else {
        panic!("four records, got {records:#?}")
    };
    assert_eq!((input(boxed), output(boxed)), (json!({"n": 4}), json!(9)));
    assert_eq!((input(helped), output(helped)), (json!({"n": 7}), json!(2)));
    assert_eq!((failed.outcome, error_message(failed)), (Outcome::Failure, "below zero"));
    assert_eq!((input(local), output(local)), (json!({"n": 8}), json!(8)));
}

#[tokio::test]
async fn n30_a_panic_before_the_future_is_created_is_recorded() {
    #[audit_method]
    fn refuses(n: u32) -> impl Future<Output = u32> {
        assert!(n < 3, "{n} refused");
        ready(n)
    }
    let record = crate::record_access::single_record(|| {
        crate::record_access::panic_message(|| drop(refuses(3)));
    });
    assert_eq!((record.outcome, error_message(&record)), (Outcome::Panic, "3 refused"));
}

#[tokio::test]
async fn n30_the_end_of_a_named_future_is_not_known() {
    #[audit_method]
    fn own_type(n: u32) -> Ready<u32> {
        ready(n)
    }
    let record = only_record(testing::capture_async(async { own_type(3).await }).await);
    assert_eq!((record.outcome, output(&record)), (Outcome::Unknown, Value::Null));
    assert_eq!((&*record.truncated[0].path, &*record.truncated[0].unit), ("output", "futures"));
}

// ---- 31 -----------------------------------------------------------------------------------------

trait Store {
    const NAME: &str;

    #[audit_method(skip(self))]
    async fn load(&self, key: &str) -> Option<String> {
        let value = self.raw(key).await;
        value.map(|value| format!("{}/{value}", Self::NAME))
    }

    async fn raw(&self, key: &str) -> Option<u32>;
}

struct Memory(u32);

impl Store for Memory {
    const NAME: &str = "memory";

    #[audit_method(skip(self))]
    async fn raw(&self, key: &str) -> Option<u32> {
        tokio::task::yield_now().await;
        (key == "a").then_some(self.0)
    }
}

#[tokio::test]
async fn n31_native_async_fns_in_traits_are_recorded() {
    let records = testing::capture_async(async {
        assert_eq!(Memory(5).load("a").await.as_deref(), Some("memory/5"));
    })
    .await;
    let (raw, load) = (find_record(&records, "raw"), find_record(&records, "load"));
    assert_eq!((input(raw), output(raw)), (json!({"key": "a"}), json!(5)));
    assert_eq!((input(load), output(load)), (json!({"key": "a"}), json!("memory/5")));
    assert_eq!(raw.parent_id, Some(load.id));
    assert_eq!(raw.method, "<shapes_async::futures::Memory as shapes_async::futures::Store>::raw");
}

// ---- 32, 33 -------------------------------------------------------------------------------------

#[audit_method]
async fn send_with_cell(n: Cell<u32>) -> u32 {
    tokio::task::yield_now().await;
    n.get()
}

#[audit_method]
async fn returns_an_rc(n: u32) -> Rc<u32> {
    tokio::task::yield_now().await;
    Rc::new(n)
}

#[audit_method]
async fn holds_an_rc(n: Rc<RefCell<u32>>) -> u32 {
    let other = n.clone();
    tokio::task::yield_now().await;
    *other.borrow_mut() += 1;
    *n.borrow()
}

#[tokio::test]
async fn n32_an_audited_future_stays_send() {
    let records = testing::capture_async(async {
        assert_eq!(assert_send(send_with_cell(Cell::new(3))).await, 3);
        // The output is not `Send`, but the future is, because nothing is awaited after the body.
        assert_eq!(*assert_send(returns_an_rc(4)).await, 4);
    })
    .await;
    let outputs: Vec<_> = records.iter().map(output).collect();
    assert_eq!(outputs, [json!(3), json!(4)]);
}

#[tokio::test]
async fn n32_a_future_that_is_not_send_runs_on_a_local_executor() {
    let local = tokio::task::LocalSet::new();
    let held = Rc::new(RefCell::new(1));
    let record = only_record(
        testing::capture_async(local.run_until(async {
            let context = audited::Context::current();
            let task = context.wrap(holds_an_rc(held.clone()));
            tokio::task::spawn_local(task).await.unwrap()
        }))
        .await,
    );
    assert_eq!((input(&record), output(&record)), (json!({"n": 1}), json!(2)));
    assert_eq!(*held.borrow(), 2);
}

#[audit_method]
async fn total(words: &[&str], cut: impl Fn(&str) -> usize + Send + Sync) -> usize {
    let mut sum = 0;
    for part in words.iter().map(|word| cut(word)) {
        sum += measure(&part).await;
    }
    sum
}

#[audit_method]
async fn measure<T: Copy + Into<usize> + Sync>(n: &T) -> usize {
    tokio::task::yield_now().await;
    (*n).into()
}

#[tokio::test]
async fn n33_a_future_that_borrows_across_awaits_can_be_spawned() {
    let records = testing::capture_async(async {
        let task = audited::Context::current().wrap(async {
            let words = ["one".to_owned(), "three".to_owned()];
            let words: Vec<&str> = words.iter().map(|word| &**word).collect();
            total(&words, |word| word.len()).await
        });
        assert_eq!(tokio::spawn(task).await.unwrap(), 8);
    })
    .await;
    let whole = find_record(&records, "total");
    assert_eq!(output(whole), json!(8));
    assert_eq!(input(whole)["words"], json!(["one", "three"]));
    assert_eq!(records.iter().filter(|record| record.parent_id == Some(whole.id)).count(), 2);
}

// ---- 34 -----------------------------------------------------------------------------------------

#[audit_method]
async fn count_down(n: u32) -> u32 {
    if n == 0 { 0 } else { 1 + Box::pin(count_down(n - 1)).await }
}

#[audit_method]
fn ping(n: u32) -> BoxFuture<'static, u32> {
    Box::pin(async move { if n == 0 { 0 } else { 1 + pong(n - 1).await } })
}

#[audit_method]
async fn pong(n: u32) -> u32 {
    if n == 0 { 0 } else { 1 + ping(n - 1).await }
}

#[tokio::test]
async fn n34_recursive_async_calls_through_a_box_are_recorded() {
    for depth in [0, 1, 3] {
        let mut records = testing::capture_async(async {
            assert_eq!(assert_send(count_down(depth)).await, depth);
            assert_eq!(assert_send(ping(depth)).await, depth);
        })
        .await;
        let second = records.split_off(depth as usize + 1);
        for records in [records, second] {
            assert_eq!(records.len(), depth as usize + 1);
            // The innermost call ends first. Each call is the child of the next one.
            for pair in records.windows(2) {
                assert_eq!(pair[0].parent_id, Some(pair[1].id));
                assert_eq!(input(&pair[0])["n"], input(&pair[1])["n"].as_u64().unwrap() - 1);
            }
            assert_eq!(records.last().unwrap().parent_id, None);
        }
    }
}

// ---- 35, 61 -------------------------------------------------------------------------------------

/// Defines a chain of functions in which each calls the next one. It is used once bare and once
/// audited.
macro_rules! chain {
    ($(#[$attr:meta])* $name:ident) => {
        $(#[$attr])*
        async fn $name(n: u64) -> u64 {
            tokio::task::yield_now().await;
            n
        }
    };
    ($(#[$attr:meta])* $name:ident $next:ident $($rest:ident)*) => {
        $(#[$attr])*
        async fn $name(n: u64) -> u64 {
            $next(n).await + 1
        }
        chain! { $(#[$attr])* $next $($rest)* }
    };
}

mod bare {
    chain! { a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 c0 c1 c2 c3 }
    pub(super) async fn whole(n: u64) -> u64 {
        a0(n).await
    }
}

mod audited_chain {
    use audited::audit_method;
    chain! {
        #[audit_method]
        a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 c0 c1 c2 c3
    }
    pub(super) async fn whole(n: u64) -> u64 {
        a0(n).await
    }
}

#[tokio::test]
async fn n61_a_chain_of_24_audited_futures_stays_within_the_default_recursion_limit() {
    // The compiler must look through all layers to prove that this is `Send`.
    let task = audited::Context::current().wrap(async { audited_chain::whole(1).await });
    assert_eq!(tokio::spawn(task).await.unwrap(), 24);
    let records = testing::capture_async(assert_send(async {
        assert_eq!(audited_chain::whole(1).await, 24)
    }))
    .await;
    assert_eq!(records.len(), 24);
    assert!(records.windows(2).all(|pair| pair[0].parent_id == Some(pair[1].id)));
    assert!(records.iter().all(|record| record.correlation_id == records[23].id.into()));
    assert_eq!(assert_send(bare::whole(1)).await, 24);
}

/// The bytes that the attribute adds to a future.
const ADDED_BYTES: usize = 56;

#[test]
fn n35_each_layer_adds_only_a_few_words_to_a_future() {
    let (bare, whole) = (size_of_val(&bare::whole(1)), size_of_val(&audited_chain::whole(1)));
    assert!(whole <= bare + 24 * ADDED_BYTES, "bare {bare}, audited {whole}");
}

/// Defines the same functions twice: bare and audited.
macro_rules! large {
    ($(#[$attr:meta])*) => {
        $(#[$attr])*
        pub(super) async fn argument(bytes: [u8; 16 * 1024]) -> u8 {
            tokio::task::yield_now().await;
            bytes[7]
        }
        $(#[$attr])*
        pub(super) async fn output(n: u8) -> [u8; 16 * 1024] {
            tokio::task::yield_now().await;
            [n; 16 * 1024]
        }
        $(#[$attr])*
        pub(super) async fn held(bytes: [u8; 16 * 1024]) -> [u8; 16 * 1024] {
            let more = bytes.map(|byte| byte + 1);
            tokio::task::yield_now().await;
            bytes.map(|byte| byte + more[0])
        }
        pub(super) struct Page(pub(super) [u8; 16 * 1024]);
        impl Page {
            $(#[$attr])*
            pub(super) async fn first(self) -> Result<u8, String> {
                tokio::task::yield_now().await;
                self.0.first().copied().ok_or_else(String::new)
            }
        }
    };
}

mod bare_large {
    large! {}
}

mod audited_large {
    large! { #[audited::audit_method(durability = "process", skip_all)] }
}

#[test]
fn n35_large_arguments_and_outputs_are_kept_as_often_as_without_the_attribute() {
    let page = [0; 16 * 1024];
    for (bare, audited) in [
        (size_of_val(&bare_large::argument(page)), size_of_val(&audited_large::argument(page))),
        (size_of_val(&bare_large::output(1)), size_of_val(&audited_large::output(1))),
        (size_of_val(&bare_large::held(page)), size_of_val(&audited_large::held(page))),
        (
            size_of_val(&bare_large::Page(page).first()),
            size_of_val(&audited_large::Page(page).first()),
        ),
    ] {
        assert!(audited <= bare + ADDED_BYTES, "bare {bare}, audited {audited}");
    }
}
