//! Function shapes with a `durability` and with `on_audit_failure = "refuse"`.

#![deny(warnings, unsafe_op_in_unsafe_fn, unused_mut, clippy::all, clippy::pedantic)]
// These lints object to the shapes under test, which are intentional.
#![allow(clippy::needless_pass_by_value, clippy::unused_self, clippy::unused_async)]

use std::fmt::Debug;
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use async_trait::async_trait;
use audited::{Outcome, Refused, audit_method};
use serde_json::json;

use crate::summary::{
    Bad, assert_send, ended_with_error, success, success_without_output, summary_of,
    summary_of_async,
};

impl From<Refused> for Bad {
    fn from(_: Refused) -> Self {
        Self
    }
}

#[test]
fn refusable_functions_accept_all_kinds_of_parameters() {
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
    let summary = summary_of(|| {
        assert_eq!(drops(noted("_"), Pair(1, noted("in a")), noted("_b"), noted("c")), Ok(1));
    });
    assert_eq!(summary, success("drops", json!({"a": 1}), json!(1)));
    assert_eq!(*seen.borrow(), ["c, renamed", "_b", "in a", "_"]);
    assert_eq!(
        summary_of(|| assert_eq!(
            patterns((1, [2, 0, 0]), Bounds { c: 3, rest: noted("") }, 4),
            Ok(11)
        )),
        success("patterns", json!({"a": 1, "b": 2, "c": 3, "d": 4}), json!(11))
    );
    let summary =
        summary_of(|| assert_eq!(generic(&[1, 2], |n| *n, &|text| text).unwrap(), (3, &1)));
    assert_eq!(summary[0]["outcome"], "success");
}

#[test]
fn refusable_functions_may_exit_in_every_way() {
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
        panic!("{n} is too large")
    }
    #[track_caller]
    #[audit_method(durability = "power", on_audit_failure = "refuse")]
    fn from_here(n: u8) -> Result<u32, Bad> {
        if n > 9 {
            return Err(Bad);
        }
        Ok(Location::caller().line())
    }

    assert_eq!(
        summary_of(|| assert_eq!(left(""), Ok(0))),
        success("left", json!({"text": ""}), json!(0))
    );
    assert_eq!(summary_of(|| left("one"))[0]["out"], 1);
    let failed =
        |text| ended_with_error("left", Outcome::Failure, json!({"text": text}), "Bad: it is bad");
    assert_eq!(summary_of(|| assert_eq!(left("two"), Err(Bad))), failed("two"));
    assert_eq!(summary_of(|| assert_eq!(left("10"), Err(Bad))), failed("10"));
    let summary = summary_of(|| std::panic::catch_unwind(|| diverges(3)).is_err());
    assert_eq!(summary[0]["outcome"], "panic");
    assert_eq!(summary_of(|| assert_eq!(from_here(1), Ok(line!())))[0]["outcome"], "success");
    assert_eq!(summary_of(|| from_here(10))[0]["outcome"], "failure");
}

#[test]
fn refusable_methods_and_trait_methods_are_recorded() {
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Book<T>(T);
    trait Keep {
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
    impl<T: Debug> Keep for Book<T> {
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

    let summary = summary_of(|| {
        assert_eq!(Arc::new(Book("a")).keep(3), Ok(3));
        assert_eq!(Book("a").twice(3), Ok(6));
        let mut book = Book(1);
        *book.replace(2).expect("replaced") += 1;
        assert_eq!(book, Book(3));
        assert_eq!(book.into_self(9), Ok(Book(9)));
        // SAFETY: the function has no safety requirements.
        assert_eq!(unsafe { Book(1).without_check() }, Ok(&1));
    });
    let outcomes: Vec<_> = summary.as_array().unwrap().iter().map(|one| &one["outcome"]).collect();
    assert_eq!(outcomes, ["success"; 5]);
}

#[test]
fn refusable_futures_are_recorded() {
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
    let summary = summary_of_async(async {
        let mut shop = Shop(9);
        assert_eq!(assert_send(shop.sell((4, ""))).await, Ok(&5));
        assert_eq!(shop.sell((6, "")).await, Err(Bad));
        assert_eq!(assert_send(shop.lend(2)).await, Ok(3));
        assert_eq!(assert_send(named(2)).await, Ok(2));
        assert_eq!(named(20).await, Err(Bad));
        assert_eq!(assert_send(hidden(2)).await.map(Iterator::count), Ok(2));
    });
    let summary: Vec<_> = summary.as_array().unwrap().iter().map(|one| &one["outcome"]).collect();
    assert_eq!(
        summary,
        ["success", "failure", "success", "success", "success", "failure", "success"]
    );
    assert_eq!(summary_of_async(assert_send(deep(3))).as_array().unwrap().len(), 4);
}

#[test]
fn shadowed_names_do_not_affect_a_refusable_function() {
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

    let summary = summary_of(|| assert_eq!(shadowed(1, 2, 3), Result::Ok(6)));
    assert_eq!(
        summary,
        success("shadowed", json!({"call": 1, "input": 2, "refused": 3}), json!(6))
    );
    assert_eq!(
        summary_of(|| assert_eq!(by_macro(), Result::Ok(()))),
        success_without_output("by_macro", json!({}))
    );
}
