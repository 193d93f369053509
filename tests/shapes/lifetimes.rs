//! Shapes 70 and 71: types that exist, or implement a trait, only for some lifetimes.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use audited::{Outcome, Record, audit_method, audited_fields, testing};

use crate::record_access::{error_message, single_record};
use crate::summary::block_on;

// ---- 70 -----------------------------------------------------------------------------------------

trait Source {
    type Cursor<'c>
    where
        Self: 'c;

    fn cursor(&mut self) -> Self::Cursor<'_>;
}

#[derive(Debug)]
struct Rows<C>(C);

trait Load<S: Source> {
    type Out<'c>
    where
        S: 'c;

    fn load(self, source: &mut S) -> Result<Self::Out<'_>, String>;
    fn load_boxed(self: Box<Self>, source: &mut S) -> Self::Out<'_>;
    fn load_first(source: &mut S) -> Option<Self::Out<'_>>;
    fn load_named<'c>(self, source: &'c mut S) -> Result<Self::Out<'c>, String>;
    async fn load_later(self, source: &mut S) -> Result<Self::Out<'_>, String>;
    fn load_in_box(self, source: &mut S) -> Pin<Box<dyn Future<Output = Self::Out<'_>> + '_>>;
}

impl<S: Source, T: Copy> Load<S> for T {
    type Out<'c>
        = Rows<S::Cursor<'c>>
    where
        S: 'c;

    #[audit_method]
    fn load(self, source: &mut S) -> Result<Self::Out<'_>, String> {
        Ok(Rows(source.cursor()))
    }

    #[audit_method]
    fn load_boxed(self: Box<Self>, source: &mut S) -> Self::Out<'_> {
        Rows(source.cursor())
    }

    #[audit_method]
    fn load_first(source: &mut S) -> Option<Self::Out<'_>> {
        Some(Rows(source.cursor()))
    }

    #[audit_method]
    fn load_named<'c>(self, source: &'c mut S) -> Result<Self::Out<'c>, String> {
        Ok(Rows(source.cursor()))
    }

    #[audit_method]
    async fn load_later(self, source: &mut S) -> Result<Self::Out<'_>, String> {
        Ok(Rows(source.cursor()))
    }

    #[audit_method]
    fn load_in_box(self, source: &mut S) -> Pin<Box<dyn Future<Output = Self::Out<'_>> + '_>> {
        Box::pin(async move { Rows(source.cursor()) })
    }
}

#[audited_fields(value; key = id)]
struct Table {
    id: u8,
    value: u8,
}

impl Source for Table {
    type Cursor<'c> = &'c mut u8;

    #[audit_method]
    fn cursor(&mut self) -> Self::Cursor<'_> {
        &mut self.value
    }
}

/// A method that lends from `self`, with another object that it may change.
trait Lend {
    type Item<'a>
    where
        Self: 'a;

    fn lend(&mut self, table: &mut Table) -> Option<Self::Item<'_>>;
    async fn lend_later(&mut self, table: &mut Table) -> Option<Self::Item<'_>>;
}

struct Shelf<T>(T);

impl<T> Lend for Shelf<T> {
    type Item<'a>
        = &'a mut T
    where
        Self: 'a;

    #[audit_method]
    fn lend(&mut self, table: &mut Table) -> Option<Self::Item<'_>> {
        table.value += 1;
        Some(&mut self.0)
    }

    #[audit_method]
    async fn lend_later(&mut self, table: &mut Table) -> Option<Self::Item<'_>> {
        table.value += 1;
        Some(&mut self.0)
    }
}

#[test]
fn n70_the_return_type_may_be_an_associated_type_with_a_lifetime() {
    let mut table = Table { id: 1, value: 0 };
    let records = testing::capture(|| {
        *1_u8.load(&mut table).unwrap().0 += 1;
        *Box::new(1_u8).load_boxed(&mut table).0 += 1;
        *<u8 as Load<Table>>::load_first(&mut table).unwrap().0 += 1;
        *1_u8.load_named(&mut table).unwrap().0 += 1;
        *block_on(1_u8.load_later(&mut table)).unwrap().0 += 1;
        *block_on(1_u8.load_in_box(&mut table)).0 += 1;
        assert_eq!(table.cursor(), &mut 6);
    });
    let calls = records.iter().filter(|record| !record.action.ends_with("::cursor"));
    let calls: Vec<_> = calls.map(|record| (record.outcome, changes(record))).collect();
    // The type of the source is a parameter here, so nobody knows that its fields are audited.
    assert_eq!(calls, vec![(Outcome::Success, "".to_owned()); 6]);
    assert_eq!(changes(records.last().unwrap()), "missing: changes.self");
}

#[test]
fn n70_what_is_lent_from_self_does_not_hide_changes_of_another_object() {
    let (mut shelf, mut table) = (Shelf(1), Table { id: 1, value: 0 });
    let record = single_record(|| shelf.lend(&mut table).is_some());
    assert_eq!(changes(&record), "value = 1");
    let record = single_record(|| block_on(shelf.lend_later(&mut table)).is_some());
    assert_eq!(changes(&record), "value = 2");
}

/// A function without a receiver whose value borrows from an audited object.
#[audit_method]
fn value_of(table: &mut Table) -> &mut u8 {
    &mut table.value
}

#[test]
fn n70_a_value_that_borrows_from_an_object_leaves_a_sign() {
    let record = single_record(|| *value_of(&mut Table { id: 1, value: 0 }) += 1);
    assert_eq!(changes(&record), "missing: changes.table");
    assert_eq!(record.target_id.as_deref(), Some("1"));
}

fn changes(record: &Record) -> String {
    let changes = record.changes.iter();
    let changes = changes.map(|one| format!("{} = {}", one.field, one.after.as_ref().unwrap()));
    let missing = record.truncated.iter().map(|cut| format!("missing: {}", cut.path));
    changes.chain(missing).collect::<Vec<_>>().join(", ")
}

// ---- 71 -----------------------------------------------------------------------------------------

/// An error that implements `Error` only for types without lifetimes.
#[derive(Debug)]
struct Rejected<T>(T);

impl<T> fmt::Display for Rejected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rejected")
    }
}

impl<T: fmt::Debug + 'static> Error for Rejected<T> {}

/// The same, for a lifetime.
#[derive(Debug)]
struct Unknown<'a>(#[allow(dead_code)] &'a str);

impl fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown")
    }
}

impl Error for Unknown<'static> {}

#[audit_method]
fn short<T>(t: T) -> Result<(), Rejected<T>> {
    Err(Rejected(t))
}

#[audit_method]
fn long<Item>(item: Item) -> Result<(), Rejected<Item>> {
    Err(Rejected(item))
}

#[audit_method]
fn projection<I: Iterator>(mut items: I) -> Result<(), Rejected<Option<I::Item>>> {
    Err(Rejected(items.next()))
}

#[audit_method]
fn borrowed(text: &str) -> Result<(), Rejected<&str>> {
    Err(Rejected(text))
}

#[audit_method]
fn with_lifetime(text: &str) -> Result<(), Unknown<'_>> {
    Err(Unknown(text))
}

#[audit_method]
fn partly<Item>(item: Item) -> Result<impl Iterator<Item = u8>, Rejected<Item>> {
    if false { Ok(0..1) } else { Err(Rejected(item)) }
}

#[audit_method]
async fn later<Item>(item: Item) -> Result<(), Rejected<Item>> {
    Err(Rejected(item))
}

#[audit_method]
fn future<Item>(item: Item) -> impl Future<Output = Result<(), Rejected<Item>>> {
    async move { Err(Rejected(item)) }
}

#[audit_method]
fn boxed<'a, Item: 'a>(
    item: Item,
) -> Pin<Box<dyn Future<Output = Result<(), Rejected<Item>>> + 'a>> {
    Box::pin(async move { Err(Rejected(item)) })
}

struct Store<Key>(Key);

impl<Key: Clone> Store<Key> {
    #[audit_method(skip(self))]
    fn find(&self) -> Result<(), Rejected<Key>> {
        Err(Rejected(self.0.clone()))
    }
}

#[test]
fn n71_an_error_may_implement_error_only_for_some_lifetimes() {
    let text = "x".to_owned();
    let records = testing::capture(|| {
        assert!(short(&*text).is_err());
        assert!(long(&*text).is_err());
        assert!(projection(text.chars()).is_err());
        assert!(borrowed(&text).is_err());
        assert!(partly(&*text).is_err());
        assert!(block_on(later(&*text)).is_err());
        assert!(block_on(future(&*text)).is_err());
        assert!(block_on(boxed(&*text)).is_err());
        assert!(Store(&*text).find().is_err());
        assert!(with_lifetime(&text).is_err());
    });
    let mut messages: Vec<_> = records.iter().map(error_message).collect();
    assert_eq!(messages.pop(), Some("unknown"));
    assert_eq!(messages, ["rejected"; 9]);
}

/// An error with a cause keeps it, if its arguments can't be parameters.
#[derive(Debug)]
struct Caused<C>(C);

impl<C> fmt::Display for Caused<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("caused")
    }
}

impl<C: Error + 'static> Error for Caused<C> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[audit_method]
fn parse<T: std::str::FromStr>(text: &str) -> Result<T, Caused<std::num::ParseIntError>> {
    text.parse().map_err(|_| Caused("x".parse::<u8>().unwrap_err()))
}

#[test]
fn n71_an_error_without_parameters_keeps_its_sources() {
    let record = single_record(|| parse::<u8>("x").is_err());
    assert_eq!(record.error.unwrap().sources, ["invalid digit found in string"]);
}
