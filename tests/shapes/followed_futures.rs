//! Returned futures, under whatever name: the call ends when the future does. Where it can't, the
//! outcome is `unknown`, and never `success`.

#![deny(warnings, unsafe_op_in_unsafe_fn, unused_mut, clippy::all)]

use std::future::{Future, IntoFuture, Ready, ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use audited::{Outcome, Record, audit_method, testing};
use serde_json::{Value, json};

use crate::record_access::{error_message, input, only_record, output};
use crate::summary::{assert_send, block_on};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The record of a future that fails after one `Pending`.
#[track_caller]
fn assert_followed<F: Future>(make: impl FnOnce() -> F) {
    let records = testing::capture(|| drop(block_on(make())));
    let record = only_record(records);
    assert_eq!((record.outcome, error_message(&record)), (Outcome::Failure, "no route"));
    assert!(record.truncated.is_empty(), "{record:#?}");
}

/// The record of a call that returned a future that is not followed.
#[track_caller]
fn assert_unknown(record: &Record) {
    assert_eq!((record.outcome, output(record)), (Outcome::Unknown, Value::Null));
    let [cut] = &record.truncated[..] else { panic!("one entry, got {record:#?}") };
    assert_eq!((&*cut.path, &*cut.unit, cut.kept, cut.was), ("output", "futures", 0, Some(1)));
}

async fn fails<T>() -> Result<T, String> {
    tokio::task::yield_now().await;
    Err("no route".to_owned())
}

#[derive(Debug)]
struct VM;

impl VM {
    #[audit_method]
    fn connect() -> Pin<Box<dyn Future<Output = Result<Self, String>> + Send>> {
        Box::pin(fails())
    }
    #[audit_method]
    fn start(&self) -> Pin<Box<dyn Future<Output = Result<VM, String>> + Send + '_>> {
        Box::pin(fails())
    }
    #[audit_method]
    fn local(self) -> Pin<Box<dyn Future<Output = Result<Self, String>>>> {
        Box::pin(fails())
    }
}

#[test]
fn a_future_is_followed_whatever_the_type_of_its_output_is_called() {
    assert_followed(VM::connect);
    assert_followed(|| assert_send(VM::connect()));
    let vm = VM;
    assert_followed(|| vm.start());
    assert_followed(|| VM.local());
}

#[test]
fn a_followed_future_ends_when_it_completes_or_is_dropped() {
    assert!(testing::capture(|| drop(VM::connect())).is_empty());
    let record = only_record(testing::capture(|| {
        let mut future = VM::connect();
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
    }));
    assert_eq!(record.outcome, Outcome::Cancelled);
}

// ---- parameters that need not outlive the box --------------------------------------------------

/// A service, as in tower.
trait Service<Q> {
    type Response;
    type Error;
    type Future: Future<Output = Result<Self::Response, Self::Error>>;
    fn call(&mut self, request: Q) -> Self::Future;
}

struct Api;

impl Service<u32> for Api {
    type Response = u32;
    type Error = String;
    type Future = Pin<Box<dyn Future<Output = Result<u32, String>> + Send>>;

    #[audit_method(skip(self))]
    fn call(&mut self, request: u32) -> Self::Future {
        Box::pin(async move { if request == 0 { fails().await } else { Ok(request) } })
    }
}

/// An error that is `std::error::Error` only for `'static` causes.
#[derive(Debug)]
struct Late<E>(E);
impl<E> std::fmt::Display for Late<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no route")
    }
}
impl<E: std::fmt::Debug + 'static> std::error::Error for Late<E> {}

/// Neither the response nor the error of `S` is known to be `'static`.
struct Layer<S>(S);

impl<Q, S> Service<Q> for Layer<S>
where
    S: Service<Q>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Late<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Late<S::Error>>> + Send>>;

    #[audit_method(skip_all)]
    fn call(&mut self, request: Q) -> Self::Future {
        let future = self.0.call(request);
        Box::pin(async move { future.await.map_err(Late) })
    }
}

/// Returns the future of `S` itself.
struct Through<S>(S);

impl<Q, S: Service<Q>> Service<Q> for Through<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[audit_method(skip_all)]
    fn call(&mut self, request: Q) -> Self::Future {
        self.0.call(request)
    }
}

#[test]
fn projections_are_followed_by_type() {
    assert_followed(|| Api.call(0));
    let record = only_record(testing::capture(|| block_on(Api.call(7))));
    assert_eq!(
        (record.outcome, input(&record), output(&record)),
        (Outcome::Success, json!({"request": 7}), json!(7))
    );
    let records = testing::capture(|| drop(block_on(assert_send(Layer(Api).call(0)))));
    let [inner, outer] = &records[..] else { panic!("two records, got {records:#?}") };
    assert_eq!((inner.outcome, inner.parent_id), (Outcome::Failure, Some(outer.id)));
    assert_eq!((outer.outcome, error_message(outer)), (Outcome::Failure, "no route"));
    // Of `S::Future`, only the bounds are known.
    let records = testing::capture(|| drop(block_on(Through(Api).call(0))));
    let [inner, outer] = &records[..] else { panic!("two records, got {records:#?}") };
    assert_eq!(outer.outcome, Outcome::Failure);
    assert_unknown(inner);
}

struct Client<Backend>(PhantomData<Backend>);

impl<Backend: Default> Client<Backend> {
    /// `Backend` need not be `'static`, but the box is.
    #[audit_method]
    fn backend() -> Pin<Box<dyn Future<Output = Result<Backend, String>> + Send>> {
        Box::pin(async { if true { fails().await } else { Ok(Backend::default()) } })
    }
    #[audit_method]
    fn whole() -> Boxed<'static, Result<Self, String>> {
        Box::pin(async { fails().await })
    }
    #[audit_method]
    fn borrowed<'a, T>(name: &'a str, value: Option<T>) -> Boxed<'a, Result<Option<T>, String>>
    where
        T: Send + 'a,
    {
        Box::pin(async move { if name.is_empty() { Ok(value) } else { fails().await } })
    }
}

#[test]
fn an_output_need_not_outlive_its_box() {
    fn check<'a>(_: &'a str) {
        assert_followed(Client::<&'a str>::backend);
        assert_followed(Client::<&'a str>::whole);
    }
    let local = String::from("a");
    check(&local);
    assert_followed(|| Client::<u8>::borrowed(&local, Some(&*local)));
}

// ---- names -------------------------------------------------------------------------------------

mod named {
    use super::Boxed;

    pub(super) type Result<T> = Boxed<'static, std::result::Result<T, std::string::String>>;
    pub(super) type Vec<T> = Result<T>;
    pub(super) type Option<T> = Result<T>;
    pub(super) type String = Result<u8>;
}

macro_rules! future_of {
    ($ty:ty) => { Pin<Box<dyn Future<Output = $ty> + Send + Sync>> };
}

#[test]
fn aliases_and_macros_are_followed_whatever_their_names_are() {
    #[audit_method]
    fn result() -> named::Result<u8> {
        Box::pin(fails())
    }
    #[audit_method]
    fn vec() -> named::Vec<u8> {
        Box::pin(fails())
    }
    #[audit_method]
    fn option() -> named::Option<u8> {
        Box::pin(fails())
    }
    #[audit_method]
    fn string() -> named::String {
        Box::pin(fails())
    }
    #[audit_method]
    fn by_macro() -> future_of!(Result<u8, String>) {
        Box::pin(async { Err("no route".to_owned()) })
    }
    #[audit_method]
    fn unpinned() -> Box<dyn Future<Output = Result<u8, String>> + Send + Unpin> {
        Box::new(Box::pin(fails()))
    }

    assert_followed(result);
    assert_followed(vec);
    assert_followed(option);
    assert_followed(string);
    assert_followed(by_macro);
    assert_followed(|| assert_send(unpinned()));
}

// ---- futures that are not followed -------------------------------------------------------------

/// A future with a name.
#[derive(Debug)]
struct Reply(u8);

impl Future for Reply {
    type Output = Result<u8, String>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Err(format!("no route to {}", self.0)))
    }
}

/// A request that is sent when it is awaited.
#[derive(Debug)]
struct Request;

impl IntoFuture for Request {
    type Output = Result<u8, String>;
    type IntoFuture = Reply;

    fn into_future(self) -> Reply {
        Reply(1)
    }
}

#[test]
fn a_future_that_is_not_followed_has_an_unknown_outcome() {
    #[audit_method]
    fn named() -> Reply {
        Reply(1)
    }
    #[audit_method]
    fn request() -> Request {
        Request
    }
    #[audit_method]
    fn at_once() -> Ready<Result<u8, String>> {
        ready(Err("no route".to_owned()))
    }
    #[audit_method]
    fn generic<F: Future>(future: F) -> F {
        future
    }
    #[audit_method]
    fn borrowed(future: &mut Reply) -> &mut Reply {
        future
    }
    #[audit_method]
    fn pinned() -> Pin<Box<impl Future<Output = u8>>> {
        Box::pin(ready(1))
    }
    #[audit_method]
    fn more_than_a_future() -> impl Future<Output = u8> + Clone {
        ready(1)
    }
    #[audit_method]
    fn converted() -> impl IntoFuture<Output = u8> {
        ready(1)
    }
    #[audit_method]
    #[track_caller]
    fn unnamed_in_place() -> impl Future<Output = u8> {
        ready(1)
    }
    #[audit_method]
    fn unnamed() -> Option<impl Future<Output = u8>> {
        Some(ready(1))
    }
    #[audit_method]
    #[track_caller]
    fn in_place() -> Reply {
        Reply(1)
    }

    assert_unknown(&only_record(testing::capture(|| block_on(named()))));
    assert_unknown(&only_record(testing::capture(|| block_on(request().into_future()))));
    assert_unknown(&only_record(testing::capture(|| block_on(at_once()))));
    assert_unknown(&only_record(testing::capture(|| block_on(borrowed(&mut Reply(1))))));
    assert_unknown(&only_record(testing::capture(|| block_on(in_place()))));
    assert_unknown(&only_record(testing::capture(|| block_on(generic(ready(1))))));
    assert_unknown(&only_record(testing::capture(|| block_on(pinned()))));
    assert_unknown(&only_record(testing::capture(|| block_on(more_than_a_future().clone()))));
    assert_unknown(&only_record(testing::capture(|| block_on(converted().into_future()))));
    assert_unknown(&only_record(testing::capture(|| block_on(unnamed_in_place()))));
    // A value that contains a future is a value.
    assert_eq!(only_record(testing::capture(|| unnamed().is_some())).outcome, Outcome::Success);
}

#[test]
fn what_is_not_a_future_is_recorded_as_before() {
    #[audit_method]
    fn future_in_a_result(fail: bool) -> Result<Reply, String> {
        if fail { Err("no route".to_owned()) } else { Ok(Reply(1)) }
    }

    let record = only_record(testing::capture(|| future_in_a_result(false).is_ok()));
    assert_eq!((record.outcome, output(&record)), (Outcome::Success, json!("Reply(1)")));
    let record = only_record(testing::capture(|| future_in_a_result(true).is_ok()));
    assert_eq!((record.outcome, error_message(&record)), (Outcome::Failure, "no route"));
}
