//! Shapes 65 and 66: structs with audited fields, and the shapes that they share with functions.

use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::marker::PhantomData;

use audited::fields::AuditedFields;
use audited::record::{ChangeKind, FieldChange};
use audited::{Json, Tracked, audited_fields, testing};
use serde::Serialize;

/// The recorded names of the fields.
pub(crate) fn field_names<T: AuditedFields>() -> Vec<&'static str> {
    T::TYPE.fields().iter().map(|field| field.name()).collect()
}

fn change_line(change: &FieldChange) -> String {
    let text = |value: &Option<Json>| value.as_ref().map_or("-".to_owned(), ToString::to_string);
    format!("{}: {} → {}", change.field, text(&change.before), text(&change.after))
}

/// Edits and saves `object`, and returns the recorded changes, such as `age: 25 → 26`.
#[track_caller]
pub(crate) fn changes_after<T: AuditedFields>(object: T, edit: impl FnOnce(&mut T)) -> Vec<String> {
    let mut records = testing::capture(|| {
        let mut object = Tracked::loaded(object);
        edit(&mut object);
        object.save(|_| Ok::<(), String>(())).unwrap();
        // The snapshot is up to date, so a second save records nothing.
        object.save(|_| Ok::<(), String>(())).unwrap();
    });
    assert_eq!(records.len(), 1);
    let record = records.remove(0);
    assert_eq!(record.target_type.as_deref(), Some(T::TYPE.name()));
    record.changes.iter().map(change_line).collect()
}

/// Saves a new `object`, and returns the recorded changes, such as `age: - → 25`.
#[track_caller]
fn changes_of_creation<T: AuditedFields>(object: T) -> Vec<String> {
    let records = testing::capture(|| {
        Tracked::new(object).save(|_| Ok::<(), String>(())).unwrap();
    });
    let changes = &records[0].changes;
    assert!(changes.iter().all(|change| change.change == ChangeKind::Created));
    changes.iter().map(change_line).collect()
}

// ---- generics -----------------------------------------------------------------------------------

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Point<N> {
    x: N,
    y: N,
}

#[audited_fields(first, points(debug), secret(redact), size(with = Vec::len); key = id, label = id)]
struct Generic<'n, I: Display, T, U = u8, const N: usize = 3>
where
    U: Clone + PartialEq + Debug,
{
    id: I,
    first: Option<T>,
    points: [Point<U>; N],
    secret: &'n str,
    size: Vec<Box<dyn Fn() -> T>>,
}

#[test]
fn generic_structs_with_and_without_bounds_record_their_fields() {
    let object = || Generic::<'_, &str, f32, u8, 1> {
        id: "a",
        first: None,
        points: [const { Point { x: 1, y: 2 } }; 1],
        secret: "old",
        size: Vec::new(),
    };
    assert_eq!(object().label().as_deref(), Some("a"));
    let changes = changes_after(object(), |object| {
        object.first = Some(1.5);
        object.points[0].x = 5;
        object.secret = "new";
        object.size.push(Box::new(|| 1.0));
    });
    assert_eq!(changes[0], "first: null → 1.5");
    let point = |x: u8| format!(r#""[Point {{ x: {x}, y: 2 }}]""#);
    assert_eq!(changes[1], format!("points: {} → {}", point(1), point(5)));
    assert_eq!(changes[2], r#"secret: "[redacted]" → "[redacted]""#);
    assert_eq!(changes[3], "size: 0 → 1");
    assert_eq!(changes.len(), 4);
}

trait Shop {
    type Item: Serialize;
    const NAME: &'static str;
}

struct Books;

impl Shop for Books {
    type Item = String;
    const NAME: &'static str = "books";
}

#[audited_fields(item, name(with = Self::name_of); key = (shop, number))]
struct Stock<S>
where
    S: Shop,
{
    shop: &'static str,
    number: u32,
    item: S::Item,
    name: PhantomData<S>,
}

impl<S: Shop> Stock<S> {
    fn name_of(_: &PhantomData<S>) -> &'static str {
        S::NAME
    }
}

#[test]
fn fields_of_an_associated_type_can_be_audited() {
    let object = Stock::<Books> { shop: "a/b", number: 7, item: "Dune".into(), name: PhantomData };
    assert_eq!(object.target_id(), "a%2Fb/7");
    assert_eq!(changes_of_creation(object), [r#"item: - → "Dune""#, r#"name: - → "books""#]);
}

#[audited_fields(all, except(parent))]
#[derive(Serialize)]
struct Node<'n, T: ?Sized> {
    id: u8,
    name: Cow<'n, str>,
    next: Option<Box<Self>>,
    parent: PhantomData<T>,
}

#[test]
fn a_recursive_struct_records_nested_changes() {
    let leaf = |name: &'static str| Node::<str> {
        id: 2,
        name: name.into(),
        next: None,
        parent: PhantomData,
    };
    let object = Node { next: Some(Box::new(leaf("a"))), ..leaf("root") };
    let changes = changes_after(object, |object| object.next = Some(Box::new(leaf("b"))));
    assert_eq!(changes, [r#"next.name: "a" → "b""#]);
}

// ---- tuple structs, raw names -------------------------------------------------------------------

#[audited_fields(1(was = "0", rename = "name"), 2; key = 0)]
struct Tuple(u32, String, u8, #[allow(dead_code)] u8);

#[test]
fn n66_tuple_structs_record_fields_by_index_or_new_name() {
    assert_eq!(field_names::<Tuple>(), ["name", "2"]);
    assert_eq!(Tuple::TYPE.key(), ["0"]);
    let changes = changes_after(Tuple(7, "a".into(), 1, 0), |object| {
        object.1.push('b');
        object.2 = 2;
    });
    assert_eq!(changes, [r#"name: "a" → "ab""#, "2: 1 → 2"]);
}

/// Fields named like variables of the expansion and like arguments of the attribute.
#[audited_fields(r#type, r#match, self_, before, delta, key, label, r#all, r#except(debug); key = r#type, label = label)]
#[derive(Debug, Default)]
struct Raw {
    r#type: u8,
    r#match: u8,
    self_: u8,
    before: u8,
    delta: u8,
    key: u8,
    label: u8,
    all: u8,
    except: u8,
}

#[test]
fn n66_raw_names_are_recorded_without_the_prefix() {
    let list = ["type", "match", "self_", "before", "delta", "key", "label", "all", "except"];
    assert_eq!(field_names::<Raw>(), list);
    assert_eq!(Raw::TYPE.key(), ["type"]);
    assert_eq!(Raw::TYPE.label(), Some("label"));
    assert_eq!(changes_after(Raw::default(), |raw| raw.r#match = 2), ["match: 0 → 2"]);
}

/// The struct itself has a raw name.
#[audited_fields(type, id)]
#[allow(non_camel_case_types)]
struct r#struct {
    id: u8,
    r#type: u8,
}

#[test]
fn n66_a_keyword_may_be_listed_without_the_raw_prefix() {
    assert_eq!((r#struct::TYPE.name(), field_names::<r#struct>()), ("struct", vec!["id", "type"]));
    assert_eq!(
        changes_after(r#struct { id: 1, r#type: 1 }, |object| object.r#type = 2),
        ["type: 1 → 2"]
    );
}

// ---- cfg ----------------------------------------------------------------------------------------

/// The fields that `cfg` removes have a type that does not exist.
#[audited_fields(here, gone, gone_too(with = no::such::function), either; key = id)]
struct Listed {
    #[cfg(not(all()))]
    gone: NoSuchType,
    #[cfg(any())]
    id: NoSuchType,
    #[cfg(not(any()))]
    id: u8,
    #[cfg(not(any()))]
    here: u8,
    #[cfg_attr(all(), cfg(any()))]
    gone_too: NoSuchType,
    #[cfg(any())]
    either: NoSuchType,
    #[cfg(not(any()))]
    either: u16,
}

#[derive(Debug, Clone)]
#[audited_fields(all, other(was = "another"))]
#[derive(PartialEq)]
struct All {
    id: u8,
    #[cfg(any())]
    gone: NoSuchType,
    #[cfg(any())]
    other: NoSuchType,
    #[cfg(not(any()))]
    other: u16,
}

/// The attribute also sees every field after a derive.
#[derive(Debug, Clone, PartialEq)]
#[audited_fields(id, gone)]
struct After {
    id: u8,
    #[cfg(any())]
    gone: NoSuchType,
}

#[test]
fn n65_a_field_removed_by_cfg_is_not_recorded() {
    assert_eq!(field_names::<Listed>(), ["here", "either"]);
    let changes = changes_after(Listed { id: 1, here: 1, either: 1 }, |object| object.either = 2);
    assert_eq!(changes, ["either: 1 → 2"]);
    assert_eq!(field_names::<All>(), ["id", "other"]);
    assert_eq!(All::TYPE.fields()[1].former_names(), ["another"]);
    assert_eq!(field_names::<After>(), ["id"]);
    assert_eq!(changes_after(All { id: 1, other: 1 }, |object| object.other = 2), ["other: 1 → 2"]);
}

#[audited_fields(0, 1; key = 0)]
struct LastGone(u8, u8, #[cfg(any())] u8);

#[test]
fn n65_tuple_indices_before_a_removed_field_are_kept() {
    assert_eq!(changes_after(LastGone(1, 1), |object| object.1 = 2), ["1: 1 → 2"]);
}

// ---- privacy ------------------------------------------------------------------------------------

pub(crate) mod inner {
    use super::*;

    #[derive(Clone, Copy, PartialEq, Serialize)]
    pub(super) struct Hidden(pub(super) u8);

    #[allow(unreachable_pub)]
    #[audited_fields(hidden, within, of; key = id, parent = Owner(owner))]
    pub struct Public<T: Serialize = u8> {
        pub(crate) id: u8,
        pub(in crate::fields) owner: u8,
        pub(super) hidden: Hidden,
        pub(super) within: Vec<Hidden>,
        pub(super) of: super::Point<T>,
    }

    #[audited_fields(id)]
    struct Owner {
        id: u8,
    }

    pub(super) fn owner_id() -> String {
        Owner { id: 3 }.target_id()
    }
}

#[test]
fn private_types_of_fields_may_stay_private() {
    use inner::{Hidden, Public};
    let object = Public {
        id: 1,
        owner: 3,
        hidden: Hidden(1),
        within: vec![Hidden(1)],
        of: Point { x: 1, y: 1 },
    };
    assert_eq!(inner::owner_id(), "3");
    assert_eq!(
        (Public::<u8>::type_path(), object.target_id()),
        ("Owner/Public".into(), "3/1".into())
    );
    assert_eq!(Public::<u8>::TYPE.parent(), Some("Owner"));
}

// ---- inside functions and macros ----------------------------------------------------------------

#[test]
fn structs_inside_functions_can_be_audited() {
    struct Local(u8);
    impl Local {
        fn number(&self) -> u8 {
            self.0
        }
    }

    #[audited_fields(local(with = Local::number), at; key = at)]
    struct Inside {
        local: Local,
        at: u8,
    }

    fn deeper() -> Vec<String> {
        #[audited_fields(at)]
        struct Inside {
            id: u8,
            at: u8,
        }
        changes_after(Inside { id: 1, at: 1 }, |object| object.at = 2)
    }

    let changes = changes_after(Inside { local: Local(1), at: 1 }, |object| object.local.0 = 2);
    assert_eq!(changes, ["local: 1 → 2"]);
    assert_eq!(deeper(), ["at: 1 → 2"]);
}

macro_rules! audited_struct {
    ($vis:vis $name:ident<$($param:ident),*> { $key:ident, $($field:ident: $ty:ty),* $(,)? } was $was:literal) => {
        #[audited_fields($($field(was = $was)),*, fixed; key = $key, label = $key)]
        $vis struct $name<$($param),*> {
            $key: u8,
            $($field: $ty,)*
            fixed: u8,
        }
    };
}

audited_struct!(pub(crate) Made<T> { number, list: Vec<T> } was "lists");

macro_rules! with_type {
    ($ty:ty, $parent:ty, $with:path, $($option:tt)*) => {
        #[audited_fields(value $($option)*, text(with = $with); key = id, parent = $parent(id))]
        struct WithType {
            id: u8,
            value: $ty,
            text: String,
        }
    };
}

with_type!(Option<Vec<u8>>, r#struct, String::len, (rename = "amount"));

#[test]
fn n57_structs_generated_by_macros_can_be_audited() {
    let changes = changes_after(Made { number: 1, list: vec![1], fixed: 2 }, |object| {
        object.list[0] = 2;
        object.fixed = 3;
    });
    assert_eq!(changes, ["list[0]: 1 → 2", "fixed: 2 → 3"]);
    assert_eq!(Made::<u8>::TYPE.fields()[0].former_names(), ["lists"]);
    assert_eq!(Made { number: 1, list: vec![1], fixed: 2 }.label().as_deref(), Some("1"));
    assert_eq!(field_names::<WithType>(), ["amount", "text"]);
    let object = WithType { id: 1, value: None, text: String::new() };
    assert_eq!(
        (WithType::type_path(), object.target_id()),
        ("struct/WithType".into(), "1/1".into())
    );
}

macro_rules! whole {
    ($item:item) => {
        #[audited_fields(all)]
        $item
    };
}

whole! {
    pub(crate) struct Whole {
        id: u8,
    }
}

#[test]
fn n57_an_item_passed_through_a_macro_can_be_audited() {
    assert_eq!(field_names::<Whole>(), ["id"]);
    assert_eq!(Whole { id: 3 }.target_id(), "3");
}
