//! Shape 58, temporaries in the tail of a body, and shapes of bodies from real crates that have no
//! number.

#![deny(warnings, unsafe_op_in_unsafe_fn, unused_mut, clippy::all, clippy::pedantic)]
// These lints object to the shapes under test, which are intentional.
#![allow(clippy::needless_pass_by_value)]

use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt::Display;
use std::future::Future;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, RwLock};

use audited::{Outcome, audit_method, testing};
use serde_json::json;

use crate::summary::{
    Bad, ended_with_error, success, success_without_output, summary_of, summary_of_async,
};

// In edition 2021 a block keeps the temporaries of its tail until its locals are dropped. A body
// that is moved into a block then fails to compile, or holds a lock for too long.
#[test]
fn n58_temporaries_in_the_tail_may_borrow_arguments() {
    #[audit_method(skip_all)]
    fn locked(shared: Arc<Mutex<Vec<u8>>>) -> usize {
        shared.lock().unwrap().len()
    }
    #[audit_method(skip_all)]
    async fn locked_later(shared: Arc<Mutex<Vec<u8>>>) -> usize {
        tokio::task::yield_now().await;
        shared.lock().unwrap().len()
    }
    #[audit_method(skip_all)]
    fn matched(shared: Arc<RwLock<Option<String>>>) -> Result<usize, Bad> {
        match shared.read().unwrap().as_deref() {
            Some(text) => Ok(text.len()),
            None => Err(Bad),
        }
    }
    #[audit_method(skip_all)]
    fn borrowed((cell, _): (Rc<RefCell<Vec<u8>>>, u8)) -> Option<u8> {
        cell.borrow().iter().copied().max()
    }
    #[audit_method(skip_all)]
    #[track_caller]
    fn in_place(shared: Arc<Mutex<Vec<u8>>>) -> usize {
        shared.lock().unwrap().len()
    }
    #[audit_method(skip_all)]
    fn opaque(shared: Arc<Mutex<Vec<u8>>>) -> impl Display {
        shared.lock().unwrap().len()
    }

    let shared = Arc::new(Mutex::new(vec![1, 2]));
    assert_eq!(summary_of(|| locked(shared.clone())), success("locked", json!({}), json!(2)));
    let summary = summary_of_async(locked_later(shared.clone()));
    assert_eq!(summary, success("locked_later", json!({}), json!(2)));
    let text = Arc::new(RwLock::new(Some("abc".to_owned())));
    assert_eq!(summary_of(|| matched(text.clone())), success("matched", json!({}), json!(3)));
    let summary = summary_of(|| borrowed((Rc::new(RefCell::new(vec![3, 4])), 0)));
    assert_eq!(summary, success("borrowed", json!({}), json!(4)));
    assert_eq!(summary_of(|| in_place(shared.clone())), success("in_place", json!({}), json!(2)));
    assert_eq!(
        summary_of(|| opaque(shared.clone()).to_string()),
        success_without_output("opaque", json!({}))
    );
    assert!(shared.try_lock().is_ok());
}

#[test]
fn recursive_calls_are_recorded_as_parents_and_children() {
    #[audit_method(action = "factorial")]
    fn factorial(n: u64) -> u64 {
        if n < 2 { 1 } else { n * factorial(n - 1) }
    }
    #[audit_method]
    async fn down(n: u8) -> u8 {
        if n == 0 { 0 } else { 1 + Box::pin(down(n - 1)).await }
    }
    #[audit_method]
    fn boxed<'t>(text: &'t str) -> Pin<Box<dyn Future<Output = usize> + Send + 't>> {
        Box::pin(async move { if text.is_empty() { 0 } else { 1 + boxed(&text[1..]).await } })
    }

    let records = testing::capture(|| factorial(3));
    let outputs: Vec<_> = records.iter().map(|record| record.output.clone().unwrap()).collect();
    assert_eq!(outputs, [json!(1), json!(2), json!(6)]);
    assert_eq!(records[0].parent_id, Some(records[1].id));
    assert_eq!(summary_of_async(down(2))[2], success("down", json!({"n": 2}), json!(2))[0]);
    let summary = summary_of_async(async { boxed("ab").await });
    assert_eq!(summary[2], success("boxed", json!({"text": "ab"}), json!(2))[0]);
}

#[test]
fn items_and_imports_in_the_body_stay_local() {
    #[audit_method]
    fn compare(left: u8, right: u8) -> &'static str {
        use Ordering::{Equal as Ok, Greater as Err, Less};
        const SMALLER: &str = "smaller";
        struct Call;
        impl Call {
            fn split() -> &'static str {
                "greater"
            }
        }
        match left.cmp(&right) {
            Less => SMALLER,
            Ok => "equal",
            Err => Call::split(),
        }
    }
    #[audit_method]
    async fn shadowed(value: Option<u8>) -> std::result::Result<u8, Bad> {
        #[allow(dead_code)]
        enum Result {
            Some,
        }
        let std = value;
        tokio::task::yield_now().await;
        std.ok_or(Bad)
    }

    assert_eq!(summary_of(|| compare(1, 2))[0]["out"], "smaller");
    assert_eq!(summary_of(|| compare(2, 2))[0]["out"], "equal");
    assert_eq!(summary_of(|| compare(3, 2))[0]["out"], "greater");
    assert_eq!(
        summary_of_async(shadowed(Some(1))),
        success("shadowed", json!({"value": 1}), json!(1))
    );
}

#[test]
fn other_kinds_of_control_flow_work_as_in_the_bare_function() {
    #[audit_method]
    fn stop(n: u8) -> ControlFlow<u8, String> {
        if n > 3 {
            ControlFlow::Break(n)?;
        }
        ControlFlow::Continue(n.to_string())
    }
    #[audit_method]
    fn labelled(rows: &[[u8; 2]]) -> Option<u8> {
        let found = 'rows: {
            for row in rows {
                for cell in row {
                    if *cell > 2 {
                        break 'rows Some(*cell);
                    }
                }
            }
            None
        };
        Some(found? + 1)
    }
    #[audit_method]
    fn bound(text: &str) -> Result<u8, Bad> {
        let Some((left, right)) = text.split_once('-') else { return Err(Bad) };
        let left: u8 = left.parse()?;
        let right = right.parse::<u8>()?;
        Ok(left - right)
    }

    assert_eq!(summary_of(|| stop(4))[0]["out"], "Break(4)");
    assert_eq!(summary_of(|| stop(1))[0]["out"], "Continue(\"1\")");
    assert_eq!(summary_of(|| labelled(&[[1, 2], [3, 4]]))[0]["out"], 4);
    assert_eq!(summary_of(|| labelled(&[[1, 2]]))[0]["out"], json!(null));
    assert_eq!(summary_of(|| bound("3-2"))[0]["out"], 1);
    assert_eq!(summary_of(|| bound("3"))[0]["error"], "Bad: it is bad");
    assert_eq!(summary_of(|| bound("3-x"))[0]["outcome"], "failure");
}

#[audit_method]
#[track_caller]
fn caller(ok: Option<bool>) -> Result<u32, Bad> {
    let line = Location::caller().line();
    match ok {
        Some(true) => Ok(line),
        Some(false) => return Err(Bad),
        None => Err(Bad)?,
    }
}

#[test]
fn a_track_caller_function_sees_its_caller() {
    let summary = summary_of(|| assert_eq!(caller(Some(true)), Ok(line!())));
    assert_eq!(summary[0]["outcome"], "success");
    assert_eq!(summary[0]["in"], json!({"ok": true}));
    let summary = summary_of(|| caller(Some(false)));
    assert_eq!(
        summary,
        ended_with_error("caller", Outcome::Failure, json!({"ok": false}), "Bad: it is bad")
    );
    // A body that runs in place hides an error returned by `?`, so the outcome is unknown.
    let summary = summary_of(|| caller(None));
    assert_eq!(summary, json!([{"call": "caller", "outcome": "unknown", "in": {"ok": null}}]));
}

// The body runs in place, so the returned value is not seen. The record claims neither success nor
// failure.
#[test]
fn an_unseen_result_is_recorded_as_unknown() {
    #[audit_method]
    fn scale(by: u8) -> Result<impl Fn(&u8) -> u8, Bad> {
        if by == 0 {
            return Err(Bad);
        }
        Ok(move |n: &u8| n * by)
    }
    #[audit_method]
    #[track_caller]
    fn shown(ok: bool) -> Result<impl Display, Bad> {
        if ok { Ok(Location::caller().line()) } else { Err(Bad) }
    }
    #[audit_method]
    fn opaque(n: u8) -> impl Display {
        assert!(n > 0, "nothing to show");
        n
    }

    let unknown = |call: &str, input| json!([{"call": call, "outcome": "unknown", "in": input}]);
    let summary = summary_of(|| assert_eq!(scale(2).unwrap()(&3), 6));
    assert_eq!(summary, unknown("scale", json!({"by": 2})));
    assert_eq!(summary_of(|| scale(0).is_err()), unknown("scale", json!({"by": 0})));
    let summary = summary_of(|| assert_eq!(shown(true).unwrap().to_string(), line!().to_string()));
    assert_eq!(summary, unknown("shown", json!({"ok": true})));
    assert_eq!(summary_of(|| shown(false).is_err()), unknown("shown", json!({"ok": false})));
    let summary = summary_of(|| std::panic::catch_unwind(|| opaque(0).to_string()).is_err());
    assert_eq!(
        summary,
        ended_with_error("opaque", Outcome::Panic, json!({"n": 0}), "panic: nothing to show")
    );
}
