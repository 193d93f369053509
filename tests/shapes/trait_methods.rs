//! Methods of traits: default methods, traits of the standard library, generic associated types,
//! and trait objects. These shapes come from real crates and have no number.

#![deny(warnings, unsafe_op_in_unsafe_fn, unused_mut, clippy::all, clippy::pedantic)]
// These lints object to the shapes under test, which are intentional.
#![allow(clippy::needless_pass_by_value)]

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::{self, Debug, Display};
use std::ops::{AddAssign, Deref, Index};

use audited::{Outcome, audit_method, testing};
use serde::Serialize;
use serde_json::json;

use crate::summary::{Bad, ended_with_error, success, success_without_output, summary_of};

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
fn trait_methods_are_recorded_with_their_path() {
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
    let summary = summary_of(|| map.into_first(1));
    assert_eq!(summary[1], success("into_first", json!({"key": 1}), json!(7))[0]);
    let summary = summary_of(<BTreeMap<u8, u8>>::kind);
    assert_eq!(summary, success("kind", json!({}), json!("u8")));
}

struct Nothing;

impl Store for Nothing {
    type Key = u16;

    fn find(&self, _: &u16, on_miss: impl FnOnce() -> u8) -> u8 {
        on_miss()
    }
}

// All types share the call site of a default method, but not its path.
#[test]
fn a_default_method_is_recorded_with_the_type_it_is_called_on() {
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

#[derive(Debug)]
struct Audible(u8);

impl Drop for Audible {
    #[audit_method]
    fn drop(&mut self) {
        self.0 += 1;
    }
}

#[test]
fn methods_of_standard_traits_are_recorded() {
    let mut money = Money(3);
    let summary = summary_of(|| money += &Money(4));
    assert_eq!(summary, success_without_output("add_assign", json!({"self": 3, "other": 4})));
    let summary = summary_of(|| assert!(money > Money(1)));
    assert_eq!(
        summary,
        success("partial_cmp", json!({"self": 7, "other": 1}), json!("Some(Greater)"))
    );
    let summary = summary_of(|| assert_eq!(money.to_string(), "7 EUR"));
    assert_eq!(summary, success_without_output("fmt", json!({"self": 7})));
    let summary = summary_of(|| Money::try_from("x"));
    let error = "ParseIntError: invalid digit found in string";
    assert_eq!(
        summary,
        ended_with_error("try_from", Outcome::Failure, json!({"text": "x"}), error)
    );
    assert_eq!(summary_of(|| *money), success("deref", json!({"self": 7}), json!(7)));
    assert_eq!(summary_of(|| money["x"]), success("index", json!({"self": 7}), json!(7)));
    assert_eq!(summary_of(|| money.next()), success("next", json!({"self": 7}), json!(6)));
    let summary = summary_of(|| drop(Audible(1)));
    assert_eq!(summary, success_without_output("drop", json!({"self": "Audible(1)"})));
}

trait Lend {
    type Item<'a>: Debug
    where
        Self: 'a;
    type Error;

    fn lend(&mut self) -> Result<Self::Item<'_>, Self::Error>;
}

struct Lines(Vec<String>);

impl Lend for Lines {
    type Item<'a> = &'a mut String;
    type Error = Bad;

    #[audit_method(skip(self))]
    fn lend(&mut self) -> Result<Self::Item<'_>, Self::Error> {
        self.0.last_mut().ok_or(Bad)
    }
}

#[audit_method(skip_all)]
fn lend_twice<L: Lend>(from: &mut L) -> Result<L::Item<'_>, L::Error> {
    from.lend()?;
    from.lend()
}

#[test]
fn generic_associated_types_are_preserved() {
    let mut lines = Lines(vec!["a".into()]);
    let summary = summary_of(|| lend_twice(&mut lines).is_ok());
    assert_eq!(summary[2], success("lend_twice", json!({}), json!("\"a\""))[0]);
    assert_eq!(summary[1], success("lend", json!({}), json!("a"))[0]);
    let summary = summary_of(|| Lines(vec![]).lend().is_err());
    assert_eq!(summary, ended_with_error("lend", Outcome::Failure, json!({}), "Bad: it is bad"));
}

trait Animal: Debug {
    fn name(&self) -> &str;

    #[audit_method]
    fn feed(&mut self, food: &str) -> String {
        format!("{} eats {food}", self.name())
    }

    #[audit_method(skip(self))]
    fn leave(self: Box<Self>) -> usize {
        self.name().len()
    }
}

#[derive(Debug)]
struct Cat;

impl Animal for Cat {
    fn name(&self) -> &'static str {
        "cat"
    }
}

impl<T: Animal + ?Sized> Animal for Box<T> {
    #[audit_method]
    fn name(&self) -> &str {
        (**self).name()
    }
}

#[test]
fn methods_of_trait_objects_and_unsized_types_are_recorded() {
    #[audit_method]
    fn size<T: Display + ?Sized>(value: &T) -> usize {
        value.to_string().len()
    }

    let mut cat: Box<dyn Animal> = Box::new(Cat);
    let summary = summary_of(|| cat.as_mut().feed("fish"));
    let input = json!({"self": "Cat", "food": "fish"});
    assert_eq!(summary, success("feed", input, json!("cat eats fish")));
    let summary = summary_of(|| cat.name().len());
    assert_eq!(summary, success("name", json!({"self": "Cat"}), json!("cat")));
    // The box is an `Animal` itself, so `leave` calls the audited `name` of the box.
    assert_eq!(summary_of(|| cat.leave())[1], success("leave", json!({}), json!(3))[0]);
    assert_eq!(summary_of(|| size("abc")), success("size", json!({"value": "<&str>"}), json!(3)));
}
