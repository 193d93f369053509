//! Shapes 16 to 27: parameters and receivers. Shape 28, `skip` of an unknown name, is rejected; see
//! `tests/ui/fail`. Shapes 18 and 19 are in `drops.rs` and `drops_of_self.rs`.

#![deny(warnings, unsafe_op_in_unsafe_fn, unused_mut, clippy::all, clippy::pedantic)]
// These lints object to the shapes under test, which are intentional.
#![allow(clippy::needless_pass_by_value, clippy::trivially_copy_pass_by_ref)]

use std::fmt::{Debug, Display};
use std::panic::catch_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use audited::{Outcome, audit_method, testing};
use serde::Serialize;
use serde_json::json;

use crate::summary::{
    ended_with_error, success, success_without_output, summary_of, summary_of_async,
};

#[derive(Clone, Copy, Debug, Serialize)]
struct Point {
    x: i32,
    y: i32,
}

#[derive(Serialize)]
struct Metres(f64);

#[test]
fn n16_patterns_are_recorded_by_the_names_they_bind() {
    #[audit_method]
    fn all(
        (a, (b, _)): (u8, (u8, u8)),
        &c: &u8,
        Point { x, y: height }: Point,
        Metres(length): Metres,
        [first, rest @ ..]: [u8; 3],
        whole @ Point { .. }: Point,
    ) -> f64 {
        assert_eq!((x, height, first, rest), (4, 5, 7, [8, 9]));
        f64::from(a + b + c) + length + f64::from(whole.x)
    }
    #[audit_method]
    async fn later((a, ref b): (u8, String), &Point { mut x, .. }: &Point) -> i32 {
        tokio::task::yield_now().await;
        x += i32::from(a);
        x + i32::from(b.as_str() == "b")
    }

    let point = Point { x: 4, y: 5 };
    let summary = summary_of(|| all((1, (2, 0)), &3, point, Metres(0.5), [7, 8, 9], point));
    let input = json!({
        "a": 1, "b": 2, "c": 3, "x": 4, "height": 5, "length": 0.5, "first": 7, "rest": [8, 9],
        "whole": {"x": 4, "y": 5},
    });
    assert_eq!(summary, success("all", input, json!(10.5)));
    let summary = summary_of_async(later((1, "b".to_owned()), &point));
    assert_eq!(summary, success("later", json!({"a": 1, "b": "b", "x": 4}), json!(6)));
}

#[test]
fn n17_arguments_that_the_body_mutates_are_recorded_as_passed() {
    #[audit_method]
    fn count(mut n: u8, mut words: Vec<&str>, (mut a, b): (u8, u8)) -> usize {
        n += 1;
        a += b;
        words.push("more");
        usize::from(n) + usize::from(a) + words.len()
    }
    #[audit_method]
    async fn count_later(mut n: u8, words: &mut Vec<String>) -> u8 {
        n += 1;
        tokio::task::yield_now().await;
        words.push(n.to_string());
        n
    }

    let summary = summary_of(|| count(1, vec!["one"], (2, 3)));
    let input = json!({"n": 1, "words": ["one"], "a": 2, "b": 3});
    assert_eq!(summary, success("count", input, json!(9)));
    let mut words = vec!["a".to_owned()];
    let summary = summary_of_async(count_later(1, &mut words));
    assert_eq!(summary, success("count_later", json!({"n": 1, "words": ["a"]}), json!(2)));
    assert_eq!(words, ["a", "2"]);
}

#[derive(Clone, Debug, Serialize)]
struct Account {
    balance: i64,
}

impl Account {
    const FEE: i64 = 1;

    #[audit_method]
    fn consume(self) -> i64 {
        self.balance
    }
    #[audit_method]
    fn consume_mut(mut self, by: i64) -> Self {
        self.balance += by;
        self
    }
    #[audit_method]
    fn shared(&self) -> i64 {
        self.balance
    }
    #[audit_method]
    #[expect(clippy::needless_arbitrary_self_type, reason = "it is the shape that is tested")]
    fn typed(self: &Self) -> i64 {
        self.balance
    }
    #[audit_method]
    fn changed(&mut self, by: i64) {
        self.balance += by;
    }
    #[audit_method]
    fn in_arc(self: Arc<Self>) -> usize {
        Arc::strong_count(&self)
    }
    #[audit_method]
    fn in_rc(self: Rc<Self>) -> usize {
        Rc::strong_count(&self)
    }
    #[audit_method]
    fn in_box(mut self: Box<Self>) -> Box<Self> {
        self.balance += 1;
        self
    }
    #[audit_method]
    fn pinned(mut self: Pin<&mut Self>) {
        self.balance += 1;
    }
    #[audit_method]
    fn in_ref_arc(self: &Arc<Self>) -> i64 {
        self.balance
    }
    #[audit_method]
    async fn consume_later(mut self, by: i64) -> Self {
        tokio::task::yield_now().await;
        self.balance += by;
        self
    }
    #[audit_method]
    async fn changed_later(&mut self, by: i64) -> &mut i64 {
        tokio::task::yield_now().await;
        self.balance += by;
        &mut self.balance
    }
    #[audit_method]
    async fn in_arc_later(self: Arc<Self>) -> i64 {
        tokio::task::yield_now().await;
        self.balance
    }
    #[audit_method]
    async fn pinned_later(mut self: Pin<&mut Self>) {
        tokio::task::yield_now().await;
        self.balance += 1;
    }

    #[audit_method]
    fn inside(&self) -> Self {
        macro_rules! balance {
            ($this:expr) => {
                $this.balance
            };
        }
        macro_rules! own {
            ($self:ident) => {
                $self.shared()
            };
        }
        fn double(n: i64) -> i64 {
            n * 2
        }
        Self { balance: balance!(self) + own!(self) + Self::FEE + double(1) }
    }
    #[audit_method]
    async fn inside_later(&self) -> Self {
        macro_rules! balance {
            () => {
                Self::FEE
            };
        }
        let Self { balance } = self;
        tokio::task::yield_now().await;
        Self { balance: balance + balance!() }
    }
}

#[test]
fn n20_every_kind_of_receiver_is_recorded() {
    let account = || Account { balance: 5 };
    let input = || json!({"self": {"balance": 5}});
    let with = |by: i64| json!({"self": {"balance": 5}, "by": by});
    assert_eq!(summary_of(|| account().consume()), success("consume", input(), json!(5)));
    let summary = summary_of(|| account().consume_mut(2));
    assert_eq!(summary, success("consume_mut", with(2), json!({"balance": 7})));
    assert_eq!(summary_of(|| account().shared()), success("shared", input(), json!(5)));
    assert_eq!(summary_of(|| account().typed()), success("typed", input(), json!(5)));
    assert_eq!(summary_of(|| account().changed(1)), success_without_output("changed", with(1)));
    assert_eq!(summary_of(|| Arc::new(account()).in_arc()), success("in_arc", input(), json!(1)));
    assert_eq!(summary_of(|| Rc::new(account()).in_rc()), success("in_rc", input(), json!(1)));
    let summary = summary_of(|| Box::new(account()).in_box());
    assert_eq!(summary, success("in_box", input(), json!({"balance": 6})));
    let summary = summary_of(|| Arc::new(account()).in_ref_arc());
    assert_eq!(summary, success("in_ref_arc", input(), json!(5)));
    let summary = summary_of_async(account().consume_later(2));
    assert_eq!(summary, success("consume_later", with(2), json!({"balance": 7})));
    let summary = summary_of_async(async { account().changed_later(2).await.to_owned() });
    assert_eq!(summary, success("changed_later", with(2), json!(7)));
    let summary = summary_of_async(Arc::new(account()).in_arc_later());
    assert_eq!(summary, success("in_arc_later", input(), json!(5)));
    // `Pin` is `Debug`, but not `Serialize`.
    let input = json!({"self": "Account { balance: 5 }"});
    assert_eq!(
        summary_of(|| Pin::new(&mut account()).pinned()),
        success_without_output("pinned", input.clone())
    );
    let summary = summary_of_async(async { Pin::new(&mut account()).pinned_later().await });
    assert_eq!(summary, success_without_output("pinned_later", input));
}

#[test]
fn n21_self_can_be_used_in_the_body() {
    let summary = summary_of(|| Account { balance: 5 }.inside());
    assert_eq!(summary[1]["call"], "inside");
    assert_eq!(summary[1]["out"], json!({"balance": 13}));
    let summary = summary_of_async(async { Account { balance: 5 }.inside_later().await });
    assert_eq!(summary[0]["out"], json!({"balance": 6}));
}

#[test]
fn n22_cfg_on_parameters_is_applied() {
    #[audit_method]
    fn sum(
        #[cfg(test)] a: u8,
        #[cfg(not(test))] a: NoSuchType,
        #[cfg(not(test))] b: u8,
        c: u8,
    ) -> u8 {
        #[cfg(not(test))]
        let c = c + b;
        a + c
    }
    #[audit_method]
    async fn later(#[cfg(not(test))] _: NoSuchType, #[cfg(test)] (a, b): (u8, u8)) -> u8 {
        tokio::task::yield_now().await;
        a + b
    }
    #[audit_method]
    fn generic<#[cfg(not(test))] T: NoSuchTrait, #[cfg(test)] T: Display + Debug>(
        value: T,
    ) -> String {
        value.to_string()
    }
    #[audit_method(skip(a))]
    fn attributes(
        #[cfg_attr(not(test), nothing)] a: u8,
        #[allow(unused_variables)] unused: u8,
    ) -> u8 {
        a
    }

    assert_eq!(summary_of(|| sum(1, 2)), success("sum", json!({"a": 1, "c": 2}), json!(3)));
    assert_eq!(
        summary_of_async(later((1, 2))),
        success("later", json!({"a": 1, "b": 2}), json!(3))
    );
    assert_eq!(summary_of(|| generic(7)), success("generic", json!({"value": "7"}), json!("7")));
    let summary = summary_of(|| attributes(1, 2));
    assert_eq!(summary, success("attributes", json!({"unused": 2}), json!(1)));
}

// The attribute has no helper attributes on parameters: its arguments name them, so nothing has to
// be stripped. Attributes of other macros stay where they are.
#[test]
fn n23_attributes_on_parameters_are_preserved() {
    #[audit_method(redact(pin), skip(unread))]
    fn check(
        #[allow(unused_variables)] unread: u8,
        #[allow(unused_mut)] mut pin: &str,
        #[allow(unused_variables)] (a, b): (u8, u8),
    ) -> usize {
        pin.len()
    }

    let summary = summary_of(|| check(1, "1234", (2, 3)));
    let records = testing::capture(|| check(1, "1234", (2, 3)));
    assert!(!records[0].input.as_ref().expect("an input").as_str().contains("1234"));
    assert_eq!(summary[0]["in"]["a"], 2);
    assert_eq!(summary[0]["in"].get("unread"), None);
    assert_eq!(summary[0]["out"], 4);
}

#[test]
fn n24_raw_identifiers_are_recorded_without_the_prefix() {
    #[audit_method(skip(r#match), debug(r#use))]
    fn r#loop(r#type: &str, r#match: u8, r#use: &str) -> usize {
        r#type.len() + usize::from(r#match) + r#use.len()
    }
    #[audit_method(skip(r#match))]
    async fn r#move((r#in, r#match): (u8, u8)) -> u8 {
        r#in + r#match
    }

    let summary = summary_of(|| r#loop("ab", 1, "u"));
    assert_eq!(summary, success("loop", json!({"type": "ab", "use": "\"u\""}), json!(4)));
    assert_eq!(summary_of_async(r#move((1, 2))), success("move", json!({"in": 1}), json!(3)));
}

#[test]
fn n25_arguments_may_be_named_like_variables_of_the_expansion() {
    #[audit_method]
    fn sync(call: u8, input: u8, out: u8, guard: u8, e: u8, value: u8, error: u8) -> u8 {
        let result = call + input + out;
        result + guard + e + value + error
    }
    #[audit_method]
    async fn later(
        __audited_call: u8,
        __audited_input: u8,
        __audited_out: u8,
        (__audited_argument_3, __audited_argument_4): (u8, u8),
        __audited_value: u8,
    ) -> u8 {
        tokio::task::yield_now().await;
        __audited_call + __audited_input + __audited_out + __audited_argument_3 + __audited_value
    }
    #[audit_method]
    #[track_caller]
    fn in_place(__audited_guard: u8, __audited_out: u8) -> Result<u8, u8> {
        if __audited_guard == 0 {
            return Err(__audited_out);
        }
        Ok(__audited_guard)
    }

    let summary = summary_of(|| sync(1, 2, 3, 4, 5, 6, 7));
    let input = json!({
        "call": 1, "input": 2, "out": 3, "guard": 4, "e": 5, "value": 6, "error": 7,
    });
    assert_eq!(summary, success("sync", input, json!(28)));
    let summary = summary_of_async(later(1, 2, 3, (4, 5), 6));
    let input = json!({
        "__audited_call": 1, "__audited_input": 2, "__audited_out": 3, "__audited_argument_3": 4,
        "__audited_argument_4": 5, "__audited_value": 6,
    });
    assert_eq!(summary, success("later", input, json!(16)));
    let summary = summary_of(|| in_place(1, 2));
    let input = json!({"__audited_guard": 1, "__audited_out": 2});
    assert_eq!(summary, success("in_place", input, json!(1)));
    let summary = summary_of(|| in_place(0, 2));
    let input = json!({"__audited_guard": 0, "__audited_out": 2});
    assert_eq!(summary, ended_with_error("in_place", Outcome::Failure, input, "u8: 2"));
}

struct Mute;

#[derive(Debug)]
struct Shown;

#[derive(Serialize)]
struct Stored(u8);

/// Not `Serialize`, because its field is not.
#[derive(Debug)]
struct Holder<T>(T);

#[test]
fn n26_an_argument_is_recorded_by_serialize_else_debug_else_its_type() {
    #[audit_method]
    fn all(stored: &Stored, shown: Shown, mute: Mute, held: &Holder<Stored2>, list: &[Mute]) {
        assert_eq!((stored.0, list.len()), (1, 1));
        let (_, _, Holder(Stored2(n))) = (shown, mute, held);
        assert_eq!(*n, 2);
    }
    #[derive(Debug)]
    struct Stored2(u8);

    let summary = summary_of(|| all(&Stored(1), Shown, Mute, &Holder(Stored2(2)), &[Mute]));
    let mute = std::any::type_name::<Mute>();
    let input = json!({
        "stored": 1, "shown": "Shown", "mute": format!("<{mute}>"), "held": "Holder(Stored2(2))",
        "list": format!("<&[{mute}]>"),
    });
    assert_eq!(summary, success_without_output("all", input));
}

#[test]
fn n26_in_a_generic_function_the_declared_bounds_decide() {
    #[audit_method]
    fn bounds<S: Serialize, D: Debug, N>(stored: S, shown: D, neither: N) -> (usize, N) {
        drop((stored, shown));
        (1, neither)
    }
    #[audit_method(skip(a), debug(b))]
    fn words<T: Serialize + Debug>(a: T, b: T, c: T) -> usize {
        [a, b, c].len()
    }

    let summary = summary_of(|| bounds("a", "b", "c"));
    let input = json!({"stored": "a", "shown": "\"b\"", "neither": "<&str>"});
    assert_eq!(summary, success("bounds", input, json!("<(usize, &str)>")));
    let summary = summary_of(|| words("a", "b", "c"));
    assert_eq!(summary, success("words", json!({"b": "\"b\"", "c": "c"}), json!(3)));
}

#[test]
fn n27_arguments_are_recorded_as_they_were_at_entry() {
    #[audit_method]
    fn consume(words: Vec<String>, count: &mut usize, name: String) -> Box<str> {
        *count += words.len();
        drop(words);
        name.into_boxed_str()
    }
    #[audit_method]
    async fn clear(words: &mut Vec<u8>) {
        tokio::task::yield_now().await;
        words.clear();
    }

    let mut count = 1;
    let summary = summary_of(|| consume(vec!["a".into()], &mut count, "n".into()));
    let input = json!({"words": ["a"], "count": 1, "name": "n"});
    assert_eq!(summary, success("consume", input, json!("n")));
    let mut words = vec![1];
    let summary = summary_of_async(clear(&mut words));
    assert_eq!(summary, success_without_output("clear", json!({"words": [1]})));
    assert_eq!((count, words.len()), (2, 0));
}

#[test]
fn n27_nothing_is_captured_without_a_recorder() {
    struct Loud;
    impl Debug for Loud {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("captured")
        }
    }
    #[audit_method]
    fn quiet(loud: &Loud) -> usize {
        std::mem::size_of_val(loud)
    }

    assert_eq!(catch_unwind(|| quiet(&Loud)).ok(), Some(0));
    let summary = summary_of(|| quiet(&Loud));
    assert_eq!(summary[0]["out"], 0);
}

enum Either {
    Left(u8),
    Right(u8),
}

macro_rules! pair {
    ($a:ident, $b:ident) => {
        ($a, $b)
    };
}

#[test]
fn rare_patterns_are_recorded_by_the_names_they_bind() {
    #[audit_method]
    fn either((Either::Left(n) | Either::Right(n)): Either, ref mut text: String) -> String {
        text.push('!');
        format!("{n}{text}")
    }
    // The attribute does not see the names that a macro binds.
    #[audit_method]
    fn by_macro(pair!(a, b): (u8, u8), mut whole @ (c, _): (u8, u8)) -> u8 {
        whole.1 += 1;
        a + b + c + whole.1
    }

    let summary = summary_of(|| either(Either::Left(1), "a".into()));
    assert_eq!(summary, success("either", json!({"n": 1, "text": "a"}), json!("1a!")));
    assert_eq!(summary_of(|| either(Either::Right(2), "b".into()))[0]["out"], "2b!");
    let summary = summary_of(|| by_macro((1, 2), (3, 4)));
    assert_eq!(summary, success("by_macro", json!({"whole": [3, 4], "c": 3}), json!(11)));
}
