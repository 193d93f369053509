//! What the tests of trees share.

use std::borrow::Cow;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use secrecy::zeroize::Zeroize;
use secrecy::{SecretBox, SerializableSecret};
use serde::ser::Error as _;
use serde::{Serialize, Serializer};

use crate::capture::{Limits, Mask, Rules, ValueWriter};
use crate::value::Tree;

/// Rules that cut nothing, except what is too deep.
pub(super) fn unlimited(mask: Mask) -> Rules {
    Rules { limits: Limits::UNLIMITED, mask }
}

pub(super) fn of<T: ?Sized + Serialize>(value: &T) -> Tree {
    Tree::of(value, &Mask::default())
}

pub(super) fn json(tree: &Tree) -> String {
    tree.to_json(&unlimited(Mask::default()), "v", &mut Vec::new()).as_str().to_owned()
}

pub(super) fn captured<T: ?Sized + Serialize>(rules: &Rules, value: &T) -> String {
    let mut text = String::new();
    ValueWriter::new(&mut text, &mut Vec::new(), "v", rules).serialize(value);
    text
}

pub(super) fn read_back(tree: &Tree) -> Tree {
    Tree::from_json(&json(tree))
}

pub(super) fn map<const N: usize>(entries: [(&'static str, Tree); N]) -> Tree {
    Tree::Map(entries.into_iter().map(|(key, tree)| (Cow::Borrowed(key), tree)).collect())
}

/// Keys that the default mask does not hide, such as `cvc`: these trees are written with it and read
/// back.
pub(super) fn any_key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]", "[a-c.\"\\[\\]]{0,3}", any::<String>()]
        .prop_filter("a hidden name", |key| !Mask::default().matches(key))
}

pub(super) fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        (0_u64..4).prop_map(Tree::Unsigned),
        any::<i64>().prop_map(|n| of(&n)),
        (-20_i32..20).prop_map(|n| of(&(f64::from(n) / 8.0))),
        "[a-c]{0,2}".prop_map(|text| Tree::Text(text.into())),
        any::<String>().prop_map(|text| Tree::Text(text.into())),
        (0_u64..3).prop_map(|n| Tree::Unsigned(n).into_secret()),
        ("[0-2]", "0{0,2}").prop_map(|(a, b)| {
            Tree::Decimal { digits: format!("{a}.{b}").into(), is_text: true }
        }),
    ];
    leaf.prop_recursive(4, 48, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Tree::List),
            vec(inner.clone(), 0..6).prop_map(|list| Tree::List(list).into_set()),
            btree_map(any_key(), inner, 0..6).prop_map(|map| {
                Tree::Map(map.into_iter().map(|(key, tree)| (key.into(), tree)).collect())
            }),
        ]
    })
}

/// A tree that differs from another in some places.
pub(super) fn changed(tree: Tree) -> BoxedStrategy<Tree> {
    let kept = Just(tree.clone());
    let inside = match tree {
        Tree::List(elements) => changed_elements(elements).prop_map(Tree::List).boxed(),
        Tree::Set(elements) => {
            changed_elements(elements).prop_map(|list| Tree::List(list).into_set()).boxed()
        }
        Tree::Map(entries) => {
            let (keys, trees): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
            let trees: Vec<_> = trees.into_iter().map(changed).collect();
            let entries = (trees, any::<u8>()).prop_map(move |(trees, rotate)| {
                let mut entries: Vec<_> = keys.iter().cloned().zip(trees).collect();
                let by = usize::from(rotate) % entries.len().max(1);
                entries.rotate_left(by);
                entries.truncate(usize::from(rotate / 16).max(1));
                Tree::Map(entries)
            });
            entries.boxed()
        }
        _ => any_tree().boxed(),
    };
    prop_oneof![2 => kept, 3 => inside, 1 => any_tree()].boxed()
}

pub(super) fn changed_elements(elements: Vec<Tree>) -> impl Strategy<Value = Vec<Tree>> {
    let places = elements.len() + 1;
    let elements: Vec<_> = elements.into_iter().map(changed).collect();
    let cut = btree_set(0..places, 0..3);
    let more = vec((0..places, any_tree()), 0..3);
    (elements, cut, more).prop_map(|(mut elements, cut, more)| {
        for at in cut.into_iter().rev().filter(|&at| at > 0) {
            elements.remove(at - 1);
        }
        for (at, tree) in more {
            elements.insert(at.min(elements.len()), tree);
        }
        elements
    })
}

#[derive(Serialize)]
pub(super) struct Unit;
#[derive(Serialize)]
pub(super) struct Newtype<T>(pub(super) T);
#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Figure {
    Empty,
    Circle(Option<u32>),
    Pair(u8, u8),
    Named { width: u8, password: &'static str },
    Token(&'static str),
    Secret(u8, u8),
    ResetPassword { user: u8 },
}

#[derive(Serialize)]
pub(super) struct Pin(pub(super) u64);

impl Zeroize for Pin {
    fn zeroize(&mut self) {
        self.0 = 0;
    }
}

impl SerializableSecret for Pin {}

pub(super) fn secret(pin: u64) -> SecretBox<Pin> {
    SecretBox::new(Box::new(Pin(pin)))
}

pub(super) struct Bytes(pub(super) &'static [u8]);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(self.0)
    }
}

pub(super) struct Panics;

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("in Serialize")
    }
}

pub(super) struct Fails;

impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("no\nway"))
    }
}
