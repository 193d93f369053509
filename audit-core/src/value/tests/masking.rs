//! Hidden parts of trees.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::{SecretBox, SecretString};
use serde::Serialize;

use super::support::*;
use crate::capture::{Mask, Redacted};
use crate::value::Tree;

#[test]
fn of_a_secret_only_a_hash_is_kept() {
    #[derive(Serialize)]
    struct Login {
        user: &'static str,
        password: Vec<&'static str>,
        pin: SecretBox<Pin>,
    }
    let login =
        |password, pin| of(&Login { user: "al", password: vec![password], pin: secret(pin) });
    let tree = login("hunter2", 4_711);
    let shown = json(&tree);
    assert_eq!(shown, r#"{"user":"al","password":"[redacted]","pin":"[redacted]"}"#);
    let debug = format!("{tree:?}");
    assert!(!debug.contains("hunter") && !debug.contains("4711"), "{debug}");
    assert_eq!(tree, login("hunter2", 4_711));
    assert_ne!(tree, login("hunter3", 4_711));
    assert_ne!(tree, login("hunter2", 4_712));
    assert!(tree.hides_something());
    assert!(of(&[Redacted::new(1)]).hides_something());
    assert!(of(&Figure::Token("a")).hides_something());
    assert_ne!(of(&Figure::Token("a")), of(&Figure::Token("b")));
    assert_ne!(of(&Figure::Secret(1, 1)), of(&Figure::Secret(1, 2)));
    assert!(!of(&Figure::Pair(1, 2)).hides_something());
}

#[test]
fn a_secret_that_cannot_be_serialised_is_redacted() {
    #[derive(Serialize)]
    struct Holder<T> {
        a: u8,
        secret: T,
    }
    assert_eq!(json(&of(&Holder { a: 1, secret: Panics })), r#"{"a":1,"secret":"[redacted]"}"#);
    assert_eq!(json(&of(&Holder { a: 1, secret: Fails })), r#"{"a":1,"secret":"[redacted]"}"#);
}

#[test]
fn a_masked_debug_text_shows_that_a_hidden_part_changed() {
    #[derive(Debug)]
    #[allow(dead_code)] // Read by `Debug`.
    struct Login {
        user: &'static str,
        password: &'static str,
    }
    let tree = |password| Tree::of_debug(&Login { user: "al", password }, &Mask::default());
    assert_eq!(json(&tree("x")), r#""Login { user: \"al\", password: [redacted] }""#);
    assert_eq!(tree("x"), tree("x"));
    assert_ne!(tree("x"), tree("y"));
    assert!(tree("x").hides_something());
    assert_eq!(Tree::of_debug(&(1..3), &Mask::default()), Tree::Text("1..3".into()));
    assert!(matches!(Tree::of_debug(&SecretString::from("x"), &Mask::default()), Tree::Secret(_)));
}

#[test]
fn a_second_mask_hides_more() {
    let value = (
        BTreeMap::from([("iban", vec!["DE02"]), ("n", vec!["x"])]),
        Figure::Pair(1, 2),
        BTreeSet::from([BTreeMap::from([("n", BTreeMap::from([("iban", 1)]))])]),
    );
    let mask = Mask::none().name("iban").name("pair");
    let wider = Tree::of(&value, &mask);
    let later = Tree::of(&value, &Mask::none()).masked(&mask);
    assert_eq!(later, wider);
    assert_eq!(
        json(&later),
        concat!(
            r#"[{"iban":"[redacted]","n":["x"]},{"Pair":"[redacted]"},"#,
            r#"[{"n":{"iban":"[redacted]"}}]]"#
        )
    );
    // A mask applies again when the tree is written.
    assert_eq!(
        Tree::of(&value, &Mask::none()).to_json(&unlimited(mask), "v", &mut Vec::new()).as_str(),
        json(&later)
    );
}
