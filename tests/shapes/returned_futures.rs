//! Functions that return closures, iterators, futures, or nested borrows. These shapes come from
//! real crates and have no number.

#![deny(warnings, unsafe_op_in_unsafe_fn, unused_mut, clippy::all, clippy::pedantic)]
// These lints object to the shapes under test, which are intentional.
#![allow(clippy::needless_pass_by_value)]

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use audited::{Outcome, audit_method, testing};
use serde_json::json;

use crate::summary::{
    Bad, assert_send, block_on, ended_with_error, success, success_without_output, summarize,
    summary_of, summary_of_async,
};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[test]
fn returned_closures_and_iterators_are_preserved() {
    #[audit_method]
    fn compose<A, B, C>(first: impl Fn(A) -> B, second: impl Fn(B) -> C) -> impl Fn(A) -> C {
        move |value| second(first(value))
    }
    #[audit_method]
    fn words(text: &str) -> Box<dyn Iterator<Item = &str> + '_> {
        Box::new(text.split(' '))
    }
    #[audit_method]
    fn picker() -> impl for<'t> Fn(&'t str) -> &'t str {
        |text| text.trim()
    }
    #[audit_method]
    fn both() -> (impl Fn(&str) -> usize, u8) {
        (|text| text.len(), 1)
    }
    #[audit_method]
    fn unboxed(n: u8) -> impl Future<Output = Result<u8, Bad>> + Send {
        let n = n.checked_mul(2);
        async move { n.ok_or(Bad) }
    }

    assert_eq!(summary_of(|| compose(|n: u8| n + 1, |n| n * 2)(1))[0]["outcome"], "success");
    assert_eq!(summary_of(|| words("a b").count())[0]["in"], json!({"text": "a b"}));
    assert_eq!(summary_of(|| picker()(" a ").len()), success_without_output("picker", json!({})));
    assert_eq!(summary_of(|| both().0("abc"))[0]["outcome"], "success");
    assert_eq!(summary_of(|| block_on(unboxed(4))), success("unboxed", json!({"n": 4}), json!(8)));
    assert_eq!(summary_of(|| block_on(unboxed(200)))[0]["error"], "Bad: it is bad");
}

#[test]
fn audited_futures_stay_send() {
    #[audit_method]
    async fn sent(text: &str, shared: Arc<Mutex<u8>>) -> Result<String, Bad> {
        tokio::task::yield_now().await;
        *shared.lock().unwrap() += 1;
        Ok(text.to_owned())
    }
    #[audit_method]
    async fn local(text: Rc<str>) -> Rc<str> {
        tokio::task::yield_now().await;
        text
    }
    #[audit_method]
    async fn local_output<T: Send + Debug>(value: T) -> Rc<T> {
        tokio::task::yield_now().await;
        Rc::new(value)
    }

    let summary = summary_of_async(assert_send(sent("a", Arc::default())));
    assert_eq!(summary[0]["out"], "a");
    assert_eq!(summary_of_async(local("b".into()))[0]["out"], "b");
    // The future is `Send` although its output is not.
    assert_eq!(summary_of_async(assert_send(local_output(1)))[0]["out"], "1");
}

#[test]
fn boxed_futures_of_generic_functions_are_recorded() {
    #[audit_method(skip(now))]
    fn run<'a, T, F>(now: F, name: &'a str) -> BoxFuture<'a, Result<T, Bad>>
    where
        T: Send + 'a,
        F: FnOnce(&str) -> Option<T>,
    {
        let value = now(name);
        Box::pin(async move { value.ok_or(Bad) })
    }
    #[audit_method]
    async fn inner(n: u8) -> impl Future<Output = u8> {
        async move { n }
    }

    #[audit_method]
    async fn boxed(n: u8) -> BoxFuture<'static, u8> {
        Box::pin(async move { n })
    }

    assert_eq!(summary_of_async(async { boxed(1).await.await })[0]["in"], json!({"n": 1}));
    let local = String::from("x");
    let summary = summary_of(|| block_on(run(|name| Some(name.len() + local.len()), "ab")));
    assert_eq!(summary[0]["in"], json!({"name": "ab"}));
    assert_eq!(summary[0]["outcome"], "success");
    let summary = summary_of(|| block_on(run(|_| None::<u8>, "ab")));
    assert_eq!(
        summary,
        ended_with_error("run", Outcome::Failure, json!({"name": "ab"}), "Bad: it is bad")
    );
    let summary = summary_of_async(async { inner(1).await.await });
    assert_eq!(summary[0]["outcome"], "success");
}

#[test]
fn invariant_and_nested_borrows_are_preserved() {
    #[audit_method(skip(words))]
    fn longest<'w, 't: 'w>(words: &'w mut Vec<&'t str>, word: &'t str) -> &'w mut &'t str {
        words.push(word);
        words.last_mut().expect("one was pushed")
    }
    #[audit_method(skip(out))]
    async fn fill<'o>(out: &mut Option<&'o str>, text: &'o str) {
        tokio::task::yield_now().await;
        *out = Some(text);
    }
    #[audit_method]
    fn halves(values: &mut [u8]) -> (&mut [u8], &mut [u8]) {
        values.split_at_mut(values.len() / 2)
    }

    let mut words = vec!["a"];
    let summary = summary_of(|| *longest(&mut words, "bc") = "d");
    assert_eq!(summary, success("longest", json!({"word": "bc"}), json!("bc")));
    assert_eq!(words, ["a", "d"]);
    let (text, mut out) = ("text".to_owned(), None);
    let records = block_on(testing::capture_async(fill(&mut out, &text)));
    assert_eq!(summarize(&records), success_without_output("fill", json!({"text": "text"})));
    assert_eq!(out, Some("text"));
    let summary = summary_of(|| halves(&mut [1, 2]).0[0] = 3);
    assert_eq!(summary, success("halves", json!({"values": [1, 2]}), json!([[1], [2]])));
}
