//! Shapes 8 to 15: return types, and how the compiler infers them.

#![deny(warnings, unsafe_op_in_unsafe_fn, unused_mut, clippy::all, clippy::pedantic)]
// These lints object to the shapes under test, which are intentional.
#![allow(clippy::needless_pass_by_value)]

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::rc::Rc;

use audited::{Outcome, audit_method, testing};
use serde_json::json;

use crate::summary::{Bad, block_on, ended_with_error, success, summary_of, summary_of_async};

fn output_of<R>(f: impl FnOnce() -> R) -> serde_json::Value {
    let records = testing::capture(f);
    records[0].output.as_ref().map_or(json!(null), audited::Json::to_value)
}

#[test]
fn n08_impl_trait_in_a_result_is_recorded() {
    #[audit_method]
    fn numbers(text: &str) -> Result<impl Iterator<Item = u8>, Bad> {
        let first: u8 = text.parse()?;
        Ok((first..).take(2))
    }
    #[audit_method]
    fn lines(text: &'static str) -> std::io::Result<impl Iterator<Item = &'static str> + Clone> {
        if text.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(text.lines())
    }
    #[audit_method]
    async fn later(ok: bool) -> ::std::result::Result<impl Display, Box<dyn std::error::Error>> {
        tokio::task::yield_now().await;
        if !ok {
            Err("not now")?;
        }
        Ok("done")
    }
    #[audit_method]
    fn fails_opaquely(ok: bool) -> Result<u8, impl Debug> {
        if ok { Ok(7) } else { Err("no") }
    }

    let records = testing::capture(|| assert!(numbers("3").unwrap().eq([3, 4])));
    assert_eq!(records[0].outcome, Outcome::Success);
    let summary = summary_of(|| numbers("x").map(Iterator::count).unwrap_err());
    assert_eq!(
        summary,
        ended_with_error("numbers", Outcome::Failure, json!({"text": "x"}), "Bad: it is bad")
    );
    let summary = summary_of(|| assert!(lines("a\nb").unwrap().clone().eq(["a", "b"])));
    let output = json!(format!("<{}>", std::any::type_name::<std::str::Lines<'_>>()));
    assert_eq!(summary, success("lines", json!({"text": "a\nb"}), output));
    let summary = summary_of(|| lines("").map(|_| ()).unwrap_err());
    let error = "Error: unexpected end of file";
    assert_eq!(summary, ended_with_error("lines", Outcome::Failure, json!({"text": ""}), error));
    let summary = summary_of_async(async { later(true).await.unwrap().to_string() });
    assert_eq!(summary, success("later", json!({"ok": true}), json!("<&str>")));
    let summary =
        summary_of_async(async { later(false).await.map(|_| ()).unwrap_err().to_string() });
    assert!(
        summary[0]["error"].as_str().is_some_and(|summary| summary.ends_with(": not now")),
        "{summary}"
    );
    assert_eq!(
        summary_of(|| fails_opaquely(true)),
        success("fails_opaquely", json!({"ok": true}), json!(7))
    );
    let summary = summary_of(|| fails_opaquely(false).is_err());
    let input = json!({"ok": false});
    assert_eq!(summary, ended_with_error("fails_opaquely", Outcome::Failure, input, "&str: no"));
}

#[test]
fn n08_impl_trait_nested_in_other_types_is_recorded() {
    #[audit_method]
    fn maybe(n: u8) -> Option<impl Iterator<Item = impl Display>> {
        (n > 0).then(|| (0..n).map(|n| n.to_string()))
    }
    #[audit_method]
    fn pair(n: u8) -> (impl Display, Vec<impl Copy + Into<u16>>) {
        (n, vec![n, n])
    }
    #[audit_method]
    fn boxed(n: u8) -> Box<impl Fn(u8) -> u8> {
        Box::new(move |other| n + other)
    }
    #[audit_method]
    async fn nested(n: u8) -> Result<Option<impl FnOnce(&str) -> bool>, Bad> {
        Ok((n > 0).then_some(move |text: &str| text.len() == usize::from(n)))
    }

    assert_eq!(
        summary_of(|| maybe(2).unwrap().map(|n| n.to_string()).collect::<String>())[0]["in"]["n"],
        2
    );
    assert_eq!(summary_of(|| maybe(0).map(|_| ()))[0]["outcome"], "success");
    let summary = summary_of(|| assert_eq!(pair(3).1.into_iter().map(Into::into).sum::<u16>(), 6));
    assert_eq!(summary, success("pair", json!({"n": 3}), json!("<(u8, alloc::vec::Vec<u8>)>")));
    assert_eq!(summary_of(|| assert_eq!(boxed(3)(4), 7))[0]["in"]["n"], 3);
    let summary = summary_of_async(async { assert!(nested(1).await.unwrap().unwrap()("a")) });
    assert_eq!(summary[0]["outcome"], "success");
}

#[test]
fn n08_a_plain_impl_trait_is_recorded() {
    #[audit_method]
    fn up_to(n: u8) -> impl Iterator<Item = impl Display> {
        if n == 0 {
            return vec![].into_iter();
        }
        (0..n).collect::<Vec<_>>().into_iter()
    }
    #[audit_method]
    fn shown(n: u8) -> impl Debug + Clone {
        (n, "x")
    }
    #[audit_method]
    fn stored(n: u8) -> impl serde::Serialize {
        [n; 2]
    }
    #[audit_method]
    async fn later(n: u8) -> impl Iterator<Item = u8> {
        tokio::task::yield_now().await;
        0..n
    }

    // An opaque iterator is not recorded; only the success of the call is.
    let expected = json!([{"call": "up_to", "outcome": "success", "in": {"n": 2}}]);
    assert_eq!(summary_of(|| assert_eq!(up_to(2).count(), 2)), expected);
    assert_eq!(
        summary_of(|| shown(1).clone()),
        success("shown", json!({"n": 1}), json!("(1, \"x\")"))
    );
    assert_eq!(summary_of(|| stored(1)), success("stored", json!({"n": 1}), json!([1, 1])));
    let summary = summary_of_async(async { assert_eq!(later(2).await.count(), 2) });
    assert_eq!(summary, success("later", json!({"n": 2}), json!("<core::ops::range::Range<u8>>")));
}

struct Shop {
    names: Vec<String>,
    default: &'static str,
}

#[test]
fn n09_returned_values_coerce_to_trait_objects() {
    #[audit_method]
    fn shown(number: bool) -> Box<dyn Display> {
        if number { Box::new(7) } else { Box::new("text") }
    }
    #[audit_method]
    fn fixed() -> &'static dyn Debug {
        &Bad
    }
    #[audit_method]
    fn first<'v>(values: &'v [u8]) -> Option<&'v (dyn Debug + 'v)> {
        if values.is_empty() {
            return None;
        }
        Some(&values[0])
    }
    #[audit_method]
    fn cut() -> Box<dyn Fn(&str) -> &str> {
        Box::new(|text| &text[1..])
    }
    #[audit_method]
    async fn later(
        number: bool,
    ) -> Result<Rc<dyn Display>, Box<dyn std::error::Error + Send + Sync>> {
        tokio::task::yield_now().await;
        if number {
            return Ok(Rc::new(7));
        }
        Err(Box::new(Bad))
    }
    #[audit_method]
    fn work(start: u8) -> Result<Pin<Box<dyn Future<Output = u8>>>, Bad> {
        if start == 0 {
            return Err(Bad);
        }
        Ok(Box::pin(async move { start + 1 }))
    }

    assert_eq!(output_of(|| shown(true)), json!("<alloc::boxed::Box<dyn core::fmt::Display>>"));
    assert_eq!(output_of(fixed), json!("Bad"));
    assert_eq!(output_of(|| first(&[4, 5]).is_some()), json!("Some(4)"));
    assert_eq!(summary_of(|| assert_eq!(cut()("ab"), "b"))[0]["outcome"], "success");
    let summary = summary_of_async(later(false));
    assert_eq!(summary[0]["outcome"], "failure");
    assert_eq!(summary_of_async(later(true))[0]["outcome"], "success");
    let summary = summary_of(|| assert_eq!(block_on(work(1).unwrap()), 2));
    assert_eq!(summary[0]["outcome"], "success");
    assert_eq!(summary_of(|| work(0).map(|_| ()))[0]["error"], "Bad: it is bad");
}

#[test]
fn n09_returned_values_are_coerced_and_inferred_as_in_the_bare_function() {
    #[audit_method]
    fn collected(text: &str) -> HashMap<char, Vec<usize>> {
        let mut places = HashMap::new();
        text.char_indices().for_each(|(at, c)| places.entry(c).or_insert_with(Vec::new).push(at));
        places.into_iter().collect()
    }
    #[audit_method]
    fn checked(numbers: &[&str]) -> Result<Vec<u8>, std::num::ParseIntError> {
        numbers.iter().map(|number| number.parse()).collect()
    }
    #[audit_method]
    async fn summed(numbers: Vec<u8>) -> u64 {
        numbers.into_iter().map(u64::from).sum()
    }
    #[audit_method]
    fn as_text(text: &String) -> &str {
        text
    }
    #[audit_method]
    fn as_slice(values: &mut Vec<u8>) -> &[u8] {
        values.push(1);
        values
    }
    #[audit_method]
    fn twice() -> fn(u8) -> u8 {
        |n| n * 2
    }
    #[audit_method]
    fn into_error(ok: bool) -> Result<(), Box<dyn std::error::Error>> {
        if ok { Ok(()) } else { Err("no".into()) }
    }
    #[audit_method]
    async fn parsed(text: &str) -> Option<f32> {
        if text.is_empty() {
            return Some(Default::default());
        }
        text.parse().ok()
    }

    assert_eq!(output_of(|| collected("aa")), json!({"a": [0, 1]}));
    assert_eq!(output_of(|| checked(&["1", "2"])), json!([1, 2]));
    assert_eq!(summary_of_async(summed(vec![200, 200]))[0]["out"], 400);
    assert_eq!(output_of(|| as_text(&"ab".to_owned()).len()), json!("ab"));
    assert_eq!(output_of(|| as_slice(&mut vec![0]).len()), json!([0, 1]));
    assert_eq!(summary_of(|| assert_eq!(twice()(4), 8))[0]["outcome"], "success");
    assert_eq!(summary_of(|| into_error(true))[0].get("out"), None);
    assert_eq!(summary_of(|| into_error(false))[0]["outcome"], "failure");
    assert_eq!(summary_of_async(parsed("1.5"))[0]["out"], 1.5);
    assert_eq!(summary_of_async(parsed(""))[0]["out"], 0.0);
}

#[test]
fn n10_a_function_that_never_returns_is_recorded() {
    #[audit_method]
    fn stop(code: u8) -> ! {
        panic!("stopped with {code}")
    }
    #[audit_method]
    async fn stop_later(code: u8) -> ! {
        tokio::task::yield_now().await;
        panic!("stopped with {code}")
    }
    #[audit_method]
    fn checked(code: u8) -> u8 {
        let code: u8 = if code < 3 { code } else { stop(code) };
        code + 1
    }

    let summary = summary_of(|| catch_unwind(|| stop(3)));
    assert_eq!(
        summary,
        ended_with_error("stop", Outcome::Panic, json!({"code": 3}), "panic: stopped with 3")
    );
    let summary = summary_of(|| catch_unwind(|| block_on(stop_later(4))));
    let input = json!({"code": 4});
    assert_eq!(
        summary,
        ended_with_error("stop_later", Outcome::Panic, input, "panic: stopped with 4")
    );
    assert_eq!(summary_of(|| checked(2)), success("checked", json!({"code": 2}), json!(3)));
    let summary = summary_of(|| catch_unwind(|| checked(3)));
    assert_eq!(
        summary[1],
        ended_with_error("checked", Outcome::Panic, json!({"code": 3}), "panic: stopped with 3")[0]
    );
}

#[test]
fn n11_bodies_that_never_reach_their_end_are_recorded() {
    #[audit_method]
    fn panics(n: u8) -> u8 {
        panic!("no {n}")
    }
    #[audit_method]
    async fn panics_later(n: u8) -> Result<Vec<u8>, Bad> {
        tokio::task::yield_now().await;
        unreachable!("never {n}")
    }
    #[audit_method]
    fn loops(mut n: u8) -> Result<u8, Bad> {
        loop {
            n += 1;
            if n > 9 {
                return Err(Bad);
            }
            if n == 5 {
                break Ok(n);
            }
        }
    }
    #[audit_method]
    async fn returns_always(n: u8) -> Option<u8> {
        return Some(n);
    }
    #[audit_method]
    fn fails_always() -> Result<std::convert::Infallible, Bad> {
        Err(Bad)
    }

    let summary = summary_of(|| catch_unwind(|| panics(1)));
    assert_eq!(summary, ended_with_error("panics", Outcome::Panic, json!({"n": 1}), "panic: no 1"));
    let summary = summary_of(|| catch_unwind(|| block_on(panics_later(1))));
    let error = "panic: internal error: entered unreachable code: never 1";
    assert_eq!(summary, ended_with_error("panics_later", Outcome::Panic, json!({"n": 1}), error));
    assert_eq!(summary_of(|| loops(2)), success("loops", json!({"n": 2}), json!(5)));
    assert_eq!(summary_of(|| loops(9))[0]["error"], "Bad: it is bad");
    assert_eq!(
        summary_of_async(returns_always(3)),
        success("returns_always", json!({"n": 3}), json!(3))
    );
    assert_eq!(summary_of(fails_always)[0]["error"], "Bad: it is bad");
}

impl Shop {
    #[audit_method(skip(self))]
    fn name(&mut self, at: usize) -> &mut String {
        &mut self.names[at]
    }

    #[audit_method(skip(self))]
    fn find(&mut self, name: &str) -> Option<&mut String> {
        self.names.iter_mut().find(|known| *known == name)
    }

    #[audit_method(skip(self))]
    fn all(&mut self) -> impl Iterator<Item = &mut String> + '_ {
        self.names.iter_mut()
    }

    #[audit_method(skip(self))]
    fn adder(&mut self) -> impl FnMut(&str) + '_ {
        |name| self.names.push(name.to_owned())
    }

    #[audit_method(skip(self))]
    async fn last(&mut self) -> Result<&mut String, Bad> {
        tokio::task::yield_now().await;
        self.names.last_mut().ok_or(Bad)
    }

    #[audit_method(skip(self))]
    fn first_or<'a, 'b: 'a>(&'a self, other: &'b str) -> Cow<'a, str> {
        self.names.first().map_or(Cow::Borrowed(other), |name| Cow::Owned(name.to_lowercase()))
    }

    #[audit_method(skip(self))]
    async fn longest<'a>(&'a self, other: &'a str) -> &'a str {
        self.names
            .iter()
            .map(String::as_str)
            .chain([other])
            .max_by_key(|name| name.len())
            .unwrap_or(other)
    }
}

#[test]
fn n12_mutable_borrows_of_self_can_be_returned() {
    let mut shop = Shop { names: vec!["A".into(), "B".into()], default: "" };
    assert_eq!(
        summary_of(|| shop.name(0).push('a')),
        success("name", json!({"at": 0}), json!("A"))
    );
    let summary = summary_of(|| shop.find("B").unwrap().push('b'));
    assert_eq!(summary, success("find", json!({"name": "B"}), json!("B")));
    let summary = summary_of(|| shop.all().for_each(|name| name.push('!')));
    assert_eq!(summary, json!([{"call": "all", "outcome": "success", "in": {}}]));
    let summary = summary_of(|| shop.adder()("C"));
    assert_eq!(summary, json!([{"call": "adder", "outcome": "success", "in": {}}]));
    let summary = summary_of_async(async { shop.last().await.unwrap().push('c') });
    assert_eq!(summary, success("last", json!({}), json!("C")));
    assert_eq!(shop.names, ["Aa!", "Bb!", "Cc"]);
}

#[test]
fn n13_an_argument_can_be_assigned_a_borrow_of_a_local() {
    #[audit_method]
    fn trimmed(mut text: &str) -> usize {
        let local = format!("{text}!");
        if text.len() < 3 {
            text = &local;
        }
        text.len()
    }
    #[audit_method]
    async fn trimmed_later(mut text: &str) -> usize {
        let local = format!("{text}!");
        tokio::task::yield_now().await;
        if text.len() < 3 {
            text = &local;
        }
        text.len()
    }

    assert_eq!(summary_of(|| trimmed("ab")), success("trimmed", json!({"text": "ab"}), json!(3)));
    let summary = summary_of_async(trimmed_later("ab"));
    assert_eq!(summary, success("trimmed_later", json!({"text": "ab"}), json!(3)));
}

struct Borrowing<'a> {
    text: &'a str,
}

impl<'a> Borrowing<'a> {
    #[audit_method(skip(self))]
    fn text(&self) -> &'a str {
        self.text
    }
}

impl Borrowing<'_> {
    #[audit_method(skip(self))]
    async fn shorter(&self, by: usize) -> Borrowing<'_> {
        tokio::task::yield_now().await;
        Borrowing { text: &self.text[by..] }
    }
}

#[test]
fn n14_lifetimes_of_returned_borrows_are_preserved() {
    let text = "abc".to_owned();
    let summary = summary_of(|| {
        let kept = {
            let borrowing = Borrowing { text: &text };
            borrowing.text()
        };
        assert_eq!(kept, "abc");
    });
    assert_eq!(summary, success("text", json!({}), json!("abc")));
    let summary = summary_of_async(async {
        assert_eq!(Borrowing { text: &text }.shorter(1).await.text, "bc");
    });
    assert_eq!(summary[0]["in"], json!({"by": 1}));
    let shop = Shop { names: vec!["Ab".into()], default: "none" };
    let summary = summary_of(|| shop.first_or(shop.default).len());
    assert_eq!(summary, success("first_or", json!({"other": "none"}), json!("ab")));
    let summary = summary_of_async(async { shop.longest("abc").await.len() });
    assert_eq!(summary, success("longest", json!({"other": "abc"}), json!("abc")));
}

#[test]
fn n15_an_impl_trait_captures_only_what_its_use_clause_names() {
    #[audit_method]
    fn counted(values: &[u8]) -> impl Iterator<Item = usize> + use<> {
        0..values.len()
    }
    #[audit_method]
    fn borrowed<'v>(values: &'v [u8], _other: &str) -> impl Iterator<Item = &'v u8> + use<'v> {
        values.iter()
    }

    let summary = summary_of(|| {
        let counted = {
            let values = vec![1, 2];
            counted(&values)
        };
        assert_eq!(counted.count(), 2);
        let values = vec![1, 2];
        let borrowed = {
            let other = "other".to_owned();
            borrowed(&values, &other)
        };
        assert_eq!(borrowed.count(), 2);
    });
    assert_eq!(
        summary[0],
        json!({"call": "counted", "outcome": "success", "in": {"values": [1, 2]}})
    );
    let input = json!({"values": [1, 2], "_other": "other"});
    assert_eq!(summary[1], json!({"call": "borrowed", "outcome": "success", "in": input}));
}
