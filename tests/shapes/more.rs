//! Shapes from real crates that the numbered list does not hold, and number 58, the temporaries of a
//! body's tail.

#![deny(warnings, unsafe_op_in_unsafe_fn, unused_mut, clippy::all, clippy::pedantic)]
// These lints speak of the shapes, which are what they are on purpose.
#![allow(clippy::needless_pass_by_value)]

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::{self, Debug, Display};
use std::future::Future;
use std::ops::{AddAssign, ControlFlow, Deref, Index};
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, RwLock};

use audited::{Outcome, audit_method, testing};
use serde::Serialize;
use serde_json::json;

use crate::told::{Bad, block_on, ended, no_output, of, of_async, success};

// In edition 2021 a block keeps the temporaries of its tail until after its locals are gone: a body that
// is put into a block no longer compiles, or locks for too long.
#[test]
fn n58_temporaries_in_the_tail_that_borrow_arguments() {
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
    assert_eq!(of(|| locked(shared.clone())), success("locked", json!({}), json!(2)));
    let told = of_async(locked_later(shared.clone()));
    assert_eq!(told, success("locked_later", json!({}), json!(2)));
    let text = Arc::new(RwLock::new(Some("abc".to_owned())));
    assert_eq!(of(|| matched(text.clone())), success("matched", json!({}), json!(3)));
    let told = of(|| borrowed((Rc::new(RefCell::new(vec![3, 4])), 0)));
    assert_eq!(told, success("borrowed", json!({}), json!(4)));
    assert_eq!(of(|| in_place(shared.clone())), success("in_place", json!({}), json!(2)));
    assert_eq!(of(|| opaque(shared.clone()).to_string()), no_output("opaque", json!({})));
    assert!(shared.try_lock().is_ok());
}

trait Store {
    type Key: Serialize + Ord;

    fn find(&self, key: &Self::Key, on_miss: impl FnOnce() -> u8) -> u8;

    #[audit_method(skip(self, on_miss))]
    fn find_or_zero(&self, key: &Self::Key, on_miss: impl FnOnce()) -> u8 {
        self.find(key, || {
            on_miss();
            0
        })
    }

    #[audit_method(skip(self))]
    fn into_first(self, key: Self::Key) -> u8
    where
        Self: Sized,
    {
        self.find(&key, || 1)
    }

    #[audit_method]
    fn kind() -> &'static str
    where
        Self: Sized,
    {
        std::any::type_name::<Self::Key>()
    }
}

impl Store for BTreeMap<u8, u8> {
    type Key = u8;

    #[audit_method(skip(self, on_miss))]
    fn find(&self, key: &Self::Key, on_miss: impl FnOnce() -> u8) -> u8 {
        self.get(key).copied().unwrap_or_else(on_miss)
    }
}

#[test]
fn methods_of_traits() {
    let map = BTreeMap::from([(1, 7)]);
    let mut missed = false;
    let records = testing::capture(|| assert_eq!(map.find_or_zero(&2, || missed = true), 0));
    assert!(missed);
    let map_type = "alloc::collections::btree::map::BTreeMap";
    assert_eq!(records[0].method, format!("<{map_type} as {}::Store>::find", module_path!()));
    assert_eq!(
        records[1].method,
        format!("<{map_type} as {}::Store>::find_or_zero", module_path!())
    );
    assert_eq!(records[0].parent_id, Some(records[1].id));
    let told = of(|| map.into_first(1));
    assert_eq!(told[1], success("into_first", json!({"key": 1}), json!(7))[0]);
    let told = of(<BTreeMap<u8, u8>>::kind);
    assert_eq!(told, success("kind", json!({}), json!("u8")));
}

struct Nothing;

impl Store for Nothing {
    type Key = u16;

    fn find(&self, _: &u16, on_miss: impl FnOnce() -> u8) -> u8 {
        on_miss()
    }
}

// The call site of a default method is one for all types, its path is not.
#[test]
fn a_default_method_is_named_by_the_type_that_it_is_called_on() {
    let records = testing::capture(|| {
        for _ in 0..2 {
            <BTreeMap<u8, u8>>::kind();
            Nothing::kind();
        }
    });
    let methods: Vec<_> = records.iter().map(|record| &*record.method).collect();
    let module = module_path!();
    let map = format!("<alloc::collections::btree::map::BTreeMap as {module}::Store>::kind");
    let nothing = format!("<{module}::Nothing as {module}::Store>::kind");
    assert_eq!(methods, [&map, &nothing, &map, &nothing]);
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Money(u32);

impl AddAssign<&Money> for Money {
    #[audit_method]
    fn add_assign(&mut self, other: &Money) {
        self.0 += other.0;
    }
}

impl PartialOrd for Money {
    #[audit_method]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.0.partial_cmp(&other.0)
    }
}

impl Display for Money {
    #[audit_method(skip(f))]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} EUR", self.0)
    }
}

impl TryFrom<&str> for Money {
    type Error = std::num::ParseIntError;

    #[audit_method]
    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Ok(Self(text.parse()?))
    }
}

impl Deref for Money {
    type Target = u32;

    #[audit_method]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Index<&'_ str> for Money {
    type Output = u32;

    #[audit_method]
    fn index(&self, _: &str) -> &u32 {
        &self.0
    }
}

impl Iterator for Money {
    type Item = u32;

    #[audit_method]
    fn next(&mut self) -> Option<u32> {
        self.0 = self.0.checked_sub(1)?;
        Some(self.0)
    }
}

impl Drop for Audible {
    #[audit_method]
    fn drop(&mut self) {
        self.0 += 1;
    }
}

#[derive(Debug)]
struct Audible(u8);

#[test]
fn methods_of_the_traits_of_the_standard_library() {
    let mut money = Money(3);
    let told = of(|| money += &Money(4));
    assert_eq!(told, no_output("add_assign", json!({"self": 3, "other": 4})));
    let told = of(|| assert!(money > Money(1)));
    assert_eq!(
        told,
        success("partial_cmp", json!({"self": 7, "other": 1}), json!("Some(Greater)"))
    );
    let told = of(|| assert_eq!(money.to_string(), "7 EUR"));
    assert_eq!(told, no_output("fmt", json!({"self": 7})));
    let told = of(|| Money::try_from("x"));
    let error = "ParseIntError: invalid digit found in string";
    assert_eq!(told, ended("try_from", Outcome::Failure, json!({"text": "x"}), error));
    assert_eq!(of(|| *money), success("deref", json!({"self": 7}), json!(7)));
    assert_eq!(of(|| money["x"]), success("index", json!({"self": 7}), json!(7)));
    assert_eq!(of(|| money.next()), success("next", json!({"self": 7}), json!(6)));
    let told = of(|| drop(Audible(1)));
    assert_eq!(told, no_output("drop", json!({"self": "Audible(1)"})));
}

#[test]
fn recursion() {
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
    assert_eq!(of_async(down(2))[2], success("down", json!({"n": 2}), json!(2))[0]);
    let told = of_async(async { boxed("ab").await });
    assert_eq!(told[2], success("boxed", json!({"text": "ab"}), json!(2))[0]);
}

#[test]
fn items_and_imports_inside_the_body() {
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

    assert_eq!(of(|| compare(1, 2))[0]["out"], "smaller");
    assert_eq!(of(|| compare(2, 2))[0]["out"], "equal");
    assert_eq!(of(|| compare(3, 2))[0]["out"], "greater");
    assert_eq!(of_async(shadowed(Some(1))), success("shadowed", json!({"value": 1}), json!(1)));
}

#[test]
fn control_flow_of_other_types() {
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

    assert_eq!(of(|| stop(4))[0]["out"], "Break(4)");
    assert_eq!(of(|| stop(1))[0]["out"], "Continue(\"1\")");
    assert_eq!(of(|| labelled(&[[1, 2], [3, 4]]))[0]["out"], 4);
    assert_eq!(of(|| labelled(&[[1, 2]]))[0]["out"], json!(null));
    assert_eq!(of(|| bound("3-2"))[0]["out"], 1);
    assert_eq!(of(|| bound("3"))[0]["error"], "Bad: it is bad");
    assert_eq!(of(|| bound("3-x"))[0]["outcome"], "failure");
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
fn track_caller_sees_the_caller() {
    let told = of(|| assert_eq!(caller(Some(true)), Ok(line!())));
    assert_eq!(told[0]["outcome"], "success");
    assert_eq!(told[0]["in"], json!({"ok": true}));
    let told = of(|| caller(Some(false)));
    assert_eq!(told, ended("caller", Outcome::Failure, json!({"ok": false}), "Bad: it is bad"));
    // What leaves the body by `?` can't be seen in place; that it ended is on record.
    let told = of(|| caller(None));
    assert_eq!(told, json!([{"call": "caller", "outcome": "unknown", "in": {"ok": null}}]));
}

// The body runs in place, so what it returns is not seen: neither success nor failure is claimed.
#[test]
fn a_result_that_is_not_seen_is_unknown() {
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
    let told = of(|| assert_eq!(scale(2).unwrap()(&3), 6));
    assert_eq!(told, unknown("scale", json!({"by": 2})));
    assert_eq!(of(|| scale(0).is_err()), unknown("scale", json!({"by": 0})));
    let told = of(|| assert_eq!(shown(true).unwrap().to_string(), line!().to_string()));
    assert_eq!(told, unknown("shown", json!({"ok": true})));
    assert_eq!(of(|| shown(false).is_err()), unknown("shown", json!({"ok": false})));
    let told = of(|| std::panic::catch_unwind(|| opaque(0).to_string()).is_err());
    assert_eq!(told, ended("opaque", Outcome::Panic, json!({"n": 0}), "panic: nothing to show"));
}

#[test]
fn closures_and_iterators_that_are_returned() {
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

    assert_eq!(of(|| compose(|n: u8| n + 1, |n| n * 2)(1))[0]["outcome"], "success");
    assert_eq!(of(|| words("a b").count())[0]["in"], json!({"text": "a b"}));
    assert_eq!(of(|| picker()(" a ").len()), no_output("picker", json!({})));
    assert_eq!(of(|| both().0("abc"))[0]["outcome"], "success");
    assert_eq!(of(|| block_on(unboxed(4))), success("unboxed", json!({"n": 4}), json!(8)));
    assert_eq!(of(|| block_on(unboxed(200)))[0]["error"], "Bad: it is bad");
}

fn assert_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn futures_stay_send() {
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

    let told = of_async(assert_send(sent("a", Arc::default())));
    assert_eq!(told[0]["out"], "a");
    assert_eq!(of_async(local("b".into()))[0]["out"], "b");
    // What it returns need not be `Send` for the future to be.
    assert_eq!(of_async(assert_send(local_output(1)))[0]["out"], "1");
}
