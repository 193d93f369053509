//! Functions of many shapes whose records are durable, and whose calls may be refused.

#![deny(warnings, unsafe_op_in_unsafe_fn, unused_mut, clippy::all, clippy::pedantic)]
// These lints speak of the shapes, which are what they are on purpose.
#![allow(clippy::needless_pass_by_value, clippy::unused_self, clippy::unused_async)]

use std::fmt::Debug;
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use async_trait::async_trait;
use audited::{Outcome, Refused, audit_method};
use serde_json::json;

use crate::told::{Bad, ended, no_output, of, of_async, success};

impl From<Refused> for Bad {
    fn from(_: Refused) -> Self {
        Self
    }
}

#[test]
fn functions_with_all_kinds_of_parameters() {
    struct Pair(u8, #[allow(dead_code)] Noted);
    struct Noted(&'static str, Rc<std::cell::RefCell<Vec<&'static str>>>);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.1.borrow_mut().push(self.0);
        }
    }
    #[audit_method(skip(_b, c), durability = "process", on_audit_failure = "refuse")]
    fn drops(_: Noted, Pair(a, _): Pair, _b: Noted, mut c: Noted) -> Result<u8, Bad> {
        c.0 = "c, renamed";
        Ok(a)
    }
    struct Bounds {
        c: u8,
        #[allow(dead_code)]
        rest: Noted,
    }
    #[audit_method(durability = "power", on_audit_failure = "refuse")]
    fn patterns(
        (a, [b, ..]): (u8, [u8; 3]),
        Bounds { c, .. }: Bounds,
        mut d: u8,
    ) -> Result<u8, Bad> {
        d += 1;
        Ok(a + b + c + d)
    }
    #[audit_method(durability = "power", on_audit_failure = "refuse", skip(each, more))]
    fn generic<'a, T, const N: usize>(
        values: &'a [T; N],
        each: impl Fn(&T) -> u32,
        more: &dyn for<'x> Fn(&'x str) -> &'x str,
    ) -> Result<(u32, &'a T), Box<dyn std::error::Error + Send + Sync>>
    where
        T: Debug,
    {
        let sum = values.iter().map(each).sum();
        let first = values.first().ok_or_else(|| more("nothing").to_owned())?;
        Ok((sum, first))
    }

    let seen = Rc::default();
    let noted = |name| Noted(name, Rc::clone(&seen));
    let told = of(|| {
        assert_eq!(drops(noted("_"), Pair(1, noted("in a")), noted("_b"), noted("c")), Ok(1));
    });
    assert_eq!(told, success("drops", json!({"a": 1}), json!(1)));
    assert_eq!(*seen.borrow(), ["c, renamed", "_b", "in a", "_"]);
    assert_eq!(
        of(|| assert_eq!(patterns((1, [2, 0, 0]), Bounds { c: 3, rest: noted("") }, 4), Ok(11))),
        success("patterns", json!({"a": 1, "b": 2, "c": 3, "d": 4}), json!(11))
    );
    let told = of(|| assert_eq!(generic(&[1, 2], |n| *n, &|text| text).unwrap(), (3, &1)));
    assert_eq!(told[0]["outcome"], "success");
}

#[test]
fn functions_that_are_left_in_all_ways() {
    #[audit_method(durability = "process", on_audit_failure = "refuse")]
    fn left(text: &str) -> Result<u8, Bad> {
        if text.is_empty() {
            return Ok(0);
        }
        let number = 'found: {
            if text == "one" {
                break 'found 1;
            }
            text.parse()?
        };
        if number > 9 { Err(Bad) } else { Ok(number) }
    }
    #[audit_method(durability = "process", on_audit_failure = "refuse")]
    fn diverges(n: u8) -> Result<(), Bad> {
        panic!("{n} is too much")
    }
    #[track_caller]
    #[audit_method(durability = "power", on_audit_failure = "refuse")]
    fn from_here(n: u8) -> Result<u32, Bad> {
        if n > 9 {
            return Err(Bad);
        }
        Ok(Location::caller().line())
    }

    assert_eq!(of(|| assert_eq!(left(""), Ok(0))), success("left", json!({"text": ""}), json!(0)));
    assert_eq!(of(|| left("one"))[0]["out"], 1);
    let failed = |text| ended("left", Outcome::Failure, json!({"text": text}), "Bad: it is bad");
    assert_eq!(of(|| assert_eq!(left("two"), Err(Bad))), failed("two"));
    assert_eq!(of(|| assert_eq!(left("10"), Err(Bad))), failed("10"));
    let told = of(|| std::panic::catch_unwind(|| diverges(3)).is_err());
    assert_eq!(told[0]["outcome"], "panic");
    assert_eq!(of(|| assert_eq!(from_here(1), Ok(line!())))[0]["outcome"], "success");
    assert_eq!(of(|| from_here(10))[0]["outcome"], "failure");
}

#[test]
fn methods_and_traits() {
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Book<T>(T);
    trait Kept {
        type Error: From<Refused>;
        fn keep(self: Arc<Self>, n: u8) -> Result<u8, Self::Error>;
        #[audit_method(skip(self), durability = "power", on_audit_failure = "refuse")]
        fn twice(&self, n: u8) -> Result<u8, Self::Error>
        where
            Self: Sized,
        {
            Ok(n * 2)
        }
    }
    impl<T: Debug> Kept for Book<T> {
        type Error = Bad;
        #[audit_method(skip(self), durability = "power", on_audit_failure = "refuse")]
        fn keep(self: Arc<Self>, n: u8) -> Result<u8, Self::Error> {
            Ok(n)
        }
    }
    impl<T: Clone> Book<T> {
        #[audit_method(skip_all, durability = "process", on_audit_failure = "refuse")]
        fn replace(&mut self, by: T) -> Result<&mut T, Bad> {
            self.0 = by;
            Ok(&mut self.0)
        }
        #[audit_method(skip_all, durability = "process", on_audit_failure = "refuse")]
        fn into_self(mut self, by: T) -> Result<Self, Bad> {
            self.0 = by;
            Ok(self)
        }
        #[audit_method(skip_all, durability = "process", on_audit_failure = "refuse")]
        unsafe fn without_check(&self) -> Result<&T, Bad> {
            Ok(&self.0)
        }
    }

    let told = of(|| {
        assert_eq!(Arc::new(Book("a")).keep(3), Ok(3));
        assert_eq!(Book("a").twice(3), Ok(6));
        let mut book = Book(1);
        *book.replace(2).expect("replaced") += 1;
        assert_eq!(book, Book(3));
        assert_eq!(book.into_self(9), Ok(Book(9)));
        // SAFETY: it does nothing that needs it.
        assert_eq!(unsafe { Book(1).without_check() }, Ok(&1));
    });
    let outcomes: Vec<_> = told.as_array().unwrap().iter().map(|one| &one["outcome"]).collect();
    assert_eq!(outcomes, ["success"; 5]);
}

#[test]
fn futures() {
    struct Shop(u8);
    impl Shop {
        #[audit_method(skip(self), durability = "power", on_audit_failure = "refuse")]
        async fn sell<'s>(&'s mut self, (n, _): (u8, &str)) -> Result<&'s u8, Bad> {
            self.0 = self.0.checked_sub(n).ok_or(Bad)?;
            tokio::task::yield_now().await;
            Ok(&self.0)
        }
    }
    #[async_trait]
    trait Sells {
        async fn give(&self, n: u8) -> Result<u8, Bad>;
        #[audit_method(skip(self), durability = "process", on_audit_failure = "refuse")]
        async fn lend(&self, n: u8) -> Result<u8, Bad> {
            self.give(n).await
        }
    }
    #[async_trait]
    impl Sells for Shop {
        #[audit_method(skip(self), durability = "process", on_audit_failure = "refuse")]
        async fn give(&self, n: u8) -> Result<u8, Bad> {
            self.0.checked_sub(n).ok_or(Bad)
        }
    }
    #[audit_method(durability = "process", on_audit_failure = "refuse")]
    async fn deep(n: u8) -> Result<u8, Bad> {
        if n == 0 {
            return Ok(0);
        }
        Ok(Box::pin(deep(n - 1)).await? + 1)
    }
    #[audit_method(durability = "process", on_audit_failure = "refuse")]
    fn named(n: u8) -> impl Future<Output = Result<u8, Bad>> + Send {
        async move {
            if n > 9 {
                return Err(Bad);
            }
            Ok(n)
        }
    }
    #[audit_method(durability = "power", on_audit_failure = "refuse")]
    async fn hidden(n: u8) -> Result<impl Iterator<Item = u8> + Send, Bad> {
        Ok(0..n)
    }
    fn assert_send<T: Send>(value: T) -> T {
        value
    }

    let told = of_async(async {
        let mut shop = Shop(9);
        assert_eq!(assert_send(shop.sell((4, ""))).await, Ok(&5));
        assert_eq!(shop.sell((6, "")).await, Err(Bad));
        assert_eq!(assert_send(shop.lend(2)).await, Ok(3));
        assert_eq!(assert_send(named(2)).await, Ok(2));
        assert_eq!(named(20).await, Err(Bad));
        assert_eq!(assert_send(hidden(2)).await.map(Iterator::count), Ok(2));
    });
    let told: Vec<_> = told.as_array().unwrap().iter().map(|one| &one["outcome"]).collect();
    assert_eq!(told, ["success", "failure", "success", "success", "success", "failure", "success"]);
    assert_eq!(of_async(assert_send(deep(3))).as_array().unwrap().len(), 4);
}

#[test]
fn names_that_are_shadowed() {
    mod names {
        #![allow(dead_code)]
        pub(super) enum Shadow {
            Ok,
            Err,
        }
        pub(super) trait From {}
        pub(super) trait Into {}
    }
    #[allow(unused_imports)]
    use names::{From, Into, Shadow::*};
    type Result<T> = std::result::Result<T, Bad>;

    #[inline]
    #[audit_method(durability = "power", on_audit_failure = "refuse")]
    fn shadowed(call: u8, input: u8, refused: u8) -> Result<u8> {
        Result::Ok(call + input + refused)
    }
    macro_rules! made {
        ($name:ident, $ty:ty, $body:block) => {
            #[audit_method(durability = "power", on_audit_failure = "refuse")]
            fn $name() -> $ty $body
        };
    }
    made!(by_macro, Result<()>, { Result::Ok(()) });

    let told = of(|| assert_eq!(shadowed(1, 2, 3), Result::Ok(6)));
    assert_eq!(told, success("shadowed", json!({"call": 1, "input": 2, "refused": 3}), json!(6)));
    assert_eq!(of(|| assert_eq!(by_macro(), Result::Ok(()))), no_output("by_macro", json!({})));
}
