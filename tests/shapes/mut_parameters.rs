//! Functions that take an object by `&mut`, of an audited type and of a type that is not audited.
//! Both behave as without the attribute.

#![deny(warnings, unused_mut, unused_qualifications, clippy::all, clippy::pedantic)]
#![forbid(unreachable_code, unsafe_code)]
// These lints object to the shapes under test, which are intentional.
#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    clippy::needless_lifetimes,
    clippy::needless_pass_by_ref_mut,
    clippy::elidable_lifetime_names,
    clippy::needless_arbitrary_self_type,
    mismatched_lifetime_syntaxes,
    elided_lifetimes_in_paths
)]

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::Display;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use audited::record::FieldChange;
use audited::{Json, Record, audit_method, audited_fields, testing};
use serde::Serialize;

use crate::summary::{assert_send, block_on};

/// Borrows, although its elided lifetime hides that.
struct Guard<'g>(&'g mut u32);

/// `Send` and `Copy`, but not `Sync`.
#[derive(Clone, Copy, Default)]
struct NotSync(PhantomData<Cell<u8>>);

/// For each record: the name of the function, the changes, and the paths of objects that were not
/// compared.
fn changes_by_call(records: &[Record]) -> Vec<(&str, String, String)> {
    let text = |json: &Option<Json>| json.as_ref().map_or("-".into(), ToString::to_string);
    let line =
        |one: &FieldChange| format!("{} {} {}", one.field, text(&one.before), text(&one.after));
    let each = records.iter().map(|record| {
        let changes: Vec<_> = record.changes.iter().map(line).collect();
        let cuts: Vec<_> = record.truncated.iter().map(|cut| cut.path.as_str()).collect();
        let name = record.action.rsplit("::").next().unwrap_or_default();
        (name, changes.join(", "), cuts.join(", "))
    });
    each.collect()
}

/// Defines the same type and functions once more, with the given attribute on the type.
macro_rules! objects {
    ($module:ident $(, #[$fields:meta])?) => {
        mod $module {
            use super::*;

            $(#[$fields])?
            #[derive(Debug, Default, Serialize)]
            pub(super) struct Object {
                pub(super) id: u32,
                pub(super) value: u32,
                pub(super) text: String,
            }

            impl Display for Object {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    write!(f, "{}", self.value)
                }
            }

            pub(super) trait Bump {
                fn value(&mut self) -> &mut u32;

                #[audit_method(skip(self))]
                fn bump(&mut self) -> u32 {
                    *self.value() += 1;
                    *self.value()
                }

                #[audit_method(skip(self))]
                fn bump_back(self: &mut Self) {
                    *self.value() -= 1;
                }
            }

            impl Bump for Object {
                fn value(&mut self) -> &mut u32 {
                    &mut self.value
                }
            }

            fn grow(value: &mut u32) {
                *value += 1;
            }

            fn read(object: &Object, text: &str) -> usize {
                text.len() + object.text.len()
            }

            fn change(object: &mut Object) -> &mut Object {
                object.value += 1;
                object
            }

            impl Object {
                #[audit_method(skip_all)]
                pub(super) fn plain(&mut self, by: u32) {
                    self.value += by;
                }

                #[audit_method(skip_all)]
                pub(super) fn early(&mut self, text: String, limit: u32) -> Result<u32, String> {
                    if self.value > limit {
                        return Err(text);
                    }
                    self.value = text.parse::<u32>().map_err(|e| e.to_string())?;
                    self.text = text;
                    Ok(self.value)
                }

                #[audit_method(skip_all)]
                pub(super) fn closures(&mut self) -> u32 {
                    let mut add = |by| self.value += by;
                    add(1);
                    add(2);
                    self.value += [1, 2].iter().map(|by| by + self.value).sum::<u32>() - 2 * self.value;
                    self.value
                }

                #[audit_method(skip_all)]
                pub(super) fn passes(&mut self) -> usize {
                    grow(&mut self.value);
                    change(self).value += 1;
                    read(self, &self.text)
                }

                #[audit_method(skip_all)]
                pub(super) fn replaces(&mut self) -> Self {
                    let Self { value, .. } = self;
                    *value += 1;
                    let new = Self { id: self.id, value: 9, text: String::new() };
                    std::mem::replace(self, new)
                }

                #[audit_method(skip_all)]
                pub(super) fn overwrites(&mut self) {
                    *self = Self { id: self.id, value: 8, text: String::new() };
                }

                #[audit_method(skip_all)]
                pub(super) fn formats(&mut self) -> String {
                    self.value += 1;
                    format!("{self} {}", self.to_string())
                }

                #[audit_method(skip_all)]
                pub(super) fn moved(&mut self) -> u32 {
                    let this = self;
                    this.value += 1;
                    this.value
                }

                #[audit_method(skip_all)]
                pub(super) fn moved_into_closure(&mut self) -> u32 {
                    let mut bump = move || {
                        self.value += 1;
                        self.value
                    };
                    bump()
                }

                #[audit_method(skip_all)]
                pub(super) fn borrowed(&mut self) -> &mut u32 {
                    self.value += 1;
                    &mut self.value
                }

                #[audit_method(skip_all)]
                pub(super) fn chained(&mut self) -> &mut Self {
                    self.value += 1;
                    self
                }

                #[audit_method(skip_all)]
                pub(super) fn hidden(&mut self) -> Guard {
                    self.value += 1;
                    Guard(&mut self.value)
                }

                #[audit_method(skip_all)]
                pub(super) fn hidden_and_formatted(&mut self) -> Guard {
                    self.text = self.to_string();
                    self.text = format!("{self}{}", self.text);
                    Guard(&mut self.value)
                }

                #[audit_method(skip_all)]
                pub(super) fn hidden_deeper(&mut self) -> Result<Option<Guard>, String> {
                    self.value += 1;
                    Ok(Some(Guard(&mut self.value)))
                }

                #[audit_method(skip_all)]
                pub(super) fn spelled(&mut self) -> Option<Box<dyn Fn() -> u32 + '_>> {
                    self.value += 1;
                    Some(Box::new(|| self.value))
                }

                #[audit_method(skip_all)]
                pub(super) fn of_another<'a>(&mut self, text: &'a str) -> &'a str {
                    self.text.push_str(text);
                    text
                }

                #[audit_method(skip_all)]
                pub(super) fn own_function(&mut self) -> Box<dyn Fn() -> u32> {
                    self.value += 1;
                    let value = self.value;
                    Box::new(move || value)
                }

                #[audit_method(skip_all)]
                pub(super) fn named<'s>(&'s mut self) -> u32 {
                    self.value += 1;
                    self.value
                }

                #[audit_method(skip_all)]
                pub(super) fn typed(self: &mut Self) {
                    self.value += 1;
                }

                #[audit_method(skip_all)]
                pub(super) fn pinned(mut self: Pin<&mut Self>) {
                    self.value += 1;
                }

                #[audit_method(skip_all)]
                pub(super) fn opaque(&mut self) -> impl Display {
                    self.value += 1;
                    self.value
                }

                #[audit_method(skip_all)]
                #[track_caller]
                pub(super) fn tracked(&mut self) -> u32 {
                    self.value += 1;
                    self.value
                }

                #[audit_method(skip_all)]
                pub(super) fn future(&mut self) -> impl Future<Output = u32> + '_ {
                    self.value += 1;
                    async { self.value }
                }

                #[audit_method(skip_all)]
                pub(super) fn boxed(&mut self) -> Pin<Box<dyn Future<Output = u32> + Send>> {
                    self.value += 1;
                    let value = self.value;
                    Box::pin(async move { value })
                }

                #[audit_method(skip_all)]
                pub(super) fn infallible(&mut self, never: Option<Infallible>) -> u32 {
                    self.value += 1;
                    match never {
                        Some(never) => match never {},
                        None => self.value,
                    }
                }

                #[audit_method(skip_all)]
                pub(super) async fn later(&mut self, by: u32, _free: NotSync) -> Result<u32, String> {
                    tokio::task::yield_now().await;
                    self.value += by;
                    if by > 9 {
                        return Err(self.to_string());
                    }
                    Ok(self.value)
                }

                #[audit_method(skip_all)]
                pub(super) async fn later_borrowed(&mut self, by: u32) -> &mut u32 {
                    tokio::task::yield_now().await;
                    self.value += by;
                    &mut self.value
                }

                #[audit_method(skip_all)]
                pub(super) async fn later_hidden(&mut self, (by, _): (u32, u8)) -> Guard {
                    tokio::task::yield_now().await;
                    self.value += by;
                    Guard(&mut self.value)
                }
            }

            #[audit_method(skip_all)]
            pub(super) fn parameter(object: &mut Object, by: u32) -> u32 {
                let this = object;
                this.value += by;
                Some(this).map_or(0, |object| object.value)
            }

            #[audit_method(skip_all)]
            pub(super) fn rebound<'a>(mut object: &mut Object, other: &'a mut Object) -> &'a u32 {
                object.value += 1;
                object = &mut *other;
                object.value += 2;
                &other.value
            }

            #[audit_method(skip_all)]
            pub(super) fn returned(object: &mut Object) -> &mut Object {
                object.value += 1;
                object
            }

            #[audit_method(skip_all)]
            pub(super) fn returned_hidden(object: &mut Object) -> Guard {
                object.value += 1;
                Guard(&mut object.value)
            }

            #[audit_method(skip_all)]
            pub(super) fn taken_apart(Object { value, text, .. }: &mut Object, _: u8) {
                *value += 1;
                text.push('!');
            }

            #[audit_method]
            pub(super) fn captured(_object: &mut Object, r#type: &mut Object) -> u32 {
                _object.value += 1;
                r#type.value += 1;
                r#type.value
            }

            #[audit_method(skip_all)]
            pub(super) fn generic<T: Bump + ?Sized>(object: &mut T, list: &mut Vec<u32>) {
                list.push(object.bump());
            }

            #[audit_method(skip_all)]
            pub(super) fn unseen(object: &mut dyn Bump, other: &mut impl Bump) -> u32 {
                object.bump() + other.bump()
            }

            #[audit_method(skip_all)]
            pub(super) async fn later(object: &mut Object, free: NotSync, by: u32) -> u32 {
                let _ = free;
                tokio::task::yield_now().await;
                let this = object;
                this.value += by;
                this.value
            }

            #[audit_method(skip_all)]
            #[cfg_attr(all(), inline)]
            pub(super) fn configured(#[cfg(any())] none: &mut Object, #[cfg(all())] one: &mut Object) {
                one.value += 1;
            }
        }
    };
}

objects!(bare);
objects!(audited_type, #[audited_fields(value, text; key = id)]);

macro_rules! call_all {
    ($module:ident) => {{
        use $module::Bump as _;
        use $module::Object;

        let mut object = Object { id: 7, ..Object::default() };
        let o = &mut object;
        o.plain(1);
        assert_eq!(o.early("x".into(), 0), Err("x".to_owned()));
        assert!(o.early("x".into(), 5).is_err());
        assert_eq!(o.early("4".into(), 5), Ok(4));
        assert_eq!(o.closures(), 10);
        assert_eq!(o.passes(), 2);
        assert_eq!(o.replaces().value, 14);
        o.overwrites();
        assert_eq!(o.formats(), "9 9");
        assert_eq!(o.moved(), 10);
        o.value += 1;
        assert_eq!(o.moved_into_closure(), 12);
        *o.borrowed() += 1;
        o.chained().value += 1;
        *o.hidden().0 += 1;
        *o.hidden_and_formatted().0 += 1;
        *o.hidden_deeper().unwrap().unwrap().0 += 1;
        assert_eq!(o.spelled().unwrap()(), 22);
        assert_eq!(o.of_another("a"), "a");
        assert_eq!(o.own_function()(), 23);
        assert_eq!(o.named(), 24);
        o.typed();
        Pin::new(&mut *o).pinned();
        assert_eq!(o.opaque().to_string(), "27");
        assert_eq!(o.tracked(), 28);
        assert_eq!(block_on(o.future()), 29);
        assert_eq!(block_on(assert_send(o.boxed())), 30);
        assert_eq!(o.infallible(None), 31);
        assert_eq!(block_on(assert_send(o.later(1, NotSync::default()))), Ok(32));
        assert_eq!(block_on(o.later(10, NotSync::default())), Err("42".to_owned()));
        *block_on(assert_send(o.later_borrowed(1))) += 1;
        *block_on(assert_send(o.later_hidden((1, 1)))).0 += 1;
        assert_eq!(o.bump(), 47);
        o.bump_back();
        assert_eq!($module::parameter(o, 1), 47);
        let mut other = Object { id: 8, ..Object::default() };
        assert_eq!(*$module::rebound(o, &mut other), 2);
        $module::returned(o).value += 1;
        *$module::returned_hidden(o).0 += 1;
        $module::taken_apart(o, 0);
        assert_eq!($module::captured(o, &mut other), 3);
        let mut list = Vec::new();
        $module::generic(o, &mut list);
        assert_eq!(list, [55]);
        assert_eq!($module::unseen(o, &mut other), 60);
        assert_eq!(block_on(assert_send($module::later(o, NotSync::default(), 4))), 60);
        $module::configured(o);
        assert_eq!((object.value, object.text.as_str(), other.value), (61, "1818a!", 4));
    }};
}

#[test]
fn a_type_that_is_not_audited_records_no_changes() {
    let records = testing::capture(|| call_all!(bare));
    assert_eq!(records.len(), 46);
    assert!(records.iter().all(|record| {
        record.changes.is_empty() && record.truncated.is_empty() && record.target_type.is_none()
    }));
}

#[test]
fn an_audited_type_records_the_changes_of_each_call() {
    let records = testing::capture(|| call_all!(audited_type));
    let all = changes_by_call(&records);
    let observed = all.iter().map(|(name, changes, cuts)| (*name, changes.as_str(), cuts.as_str()));
    let observed: Vec<_> =
        observed.filter(|observed| !observed.1.is_empty() || !observed.2.is_empty()).collect();
    assert_eq!(observed, EXPECTED);
    // A function whose bounds do not say that the type is audited records no changes.
    assert_eq!(all.iter().filter(|(name, ..)| *name == "bump").count(), 4);
    let captured = records.iter().find(|record| record.action.ends_with("captured")).unwrap();
    assert_eq!(
        captured.input.as_ref().unwrap().as_str(),
        r#"{"_object":{"id":7,"value":53,"text":"1818a!"},"type":{"id":8,"value":2,"text":""}}"#
    );
}

/// The calls on an audited type that record a change, or an object that was not compared.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("plain", "value 0 1", ""),
    ("early", r#"value 1 4, text "" "4""#, ""),
    ("closures", "value 4 10", ""),
    ("passes", "value 10 13", ""),
    ("replaces", r#"value 13 9, text "4" """#, ""),
    ("overwrites", "value 9 8", ""),
    ("formats", "value 8 9", ""),
    ("moved", "value 9 10", ""),
    ("moved_into_closure", "value 11 12", ""),
    ("borrowed", "", "changes.self"),
    ("chained", "", "changes.self"),
    ("hidden", "", "changes.self"),
    ("hidden_and_formatted", "", "changes.self"),
    ("hidden_deeper", "", "changes.self"),
    ("spelled", "", "changes.self"),
    ("of_another", r#"text "1818" "1818a""#, ""),
    ("own_function", "value 22 23", ""),
    ("named", "", "changes.self"),
    ("typed", "value 24 25", ""),
    ("opaque", "", "changes.self"),
    ("tracked", "", "changes.self"),
    ("future", "", "changes.self"),
    ("boxed", "value 29 30", ""),
    ("infallible", "value 30 31", ""),
    ("later", "value 31 32", ""),
    ("later", "value 32 42", ""),
    ("later_borrowed", "", "changes.self"),
    ("later_hidden", "", "changes.self"),
    ("parameter", "value 46 47", ""),
    ("rebound", "value 47 48", "changes.other"),
    ("returned", "", "changes.object"),
    ("returned_hidden", "", "changes.object"),
    ("taken_apart", r#"value 52 53, text "1818a" "1818a!""#, ""),
    ("captured", "value 53 54, value 2 3", ""),
    ("later", "value 56 60", ""),
    ("configured", "value 60 61", ""),
];
