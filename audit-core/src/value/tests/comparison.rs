//! When trees are equal, and how they are read and written.

use std::collections::{BTreeSet, HashMap, HashSet};

use proptest::prelude::*;
use serde::Serialize;

use super::support::*;
use crate::capture::{Limits, Mask, Rules, VariantForm};
use crate::value::Tree;

#[test]
fn sets_are_recognised_at_any_depth() {
    #[derive(Serialize)]
    struct Team {
        members: HashSet<&'static str>,
        boxed: Option<std::rc::Rc<BTreeSet<u8>>>,
        groups: HashMap<&'static str, HashSet<u8>>,
        rounds: Vec<Newtype<HashSet<u8>>>,
        list: Vec<u8>,
    }
    let team = |list: Vec<u8>| Team {
        members: HashSet::from(["c", "a", "b"]),
        boxed: Some(BTreeSet::from([9, 10]).into()),
        groups: HashMap::from([("x", HashSet::from([3, 1, 20]))]),
        rounds: vec![Newtype(HashSet::from([5, 4]))],
        list,
    };
    assert_eq!(
        json(&of(&team(vec![2, 1]))),
        concat!(
            r#"{"members":["a","b","c"],"boxed":[9,10],"groups":{"x":[1,3,20]},"#,
            r#""rounds":[[4,5]],"list":[2,1]}"#
        )
    );
    assert_eq!(of(&team(vec![2, 1])), of(&team(vec![2, 1])));
    assert_ne!(of(&team(vec![2, 1])), of(&team(vec![1, 2])));
    assert_eq!(of(&HashSet::from([1, 2])), of(&[2, 1]).into_set());
    assert_ne!(of(&[1, 1, 2]).into_set(), of(&[1, 2, 2]).into_set());
    assert_ne!(of(&[1, 2]).into_set(), of(&[1, 2]));
    assert_eq!(of(&"x").into_set(), of(&"x"));
}

#[test]
fn decimals_are_equal_if_their_values_are() {
    let decimal = |text: &str| of(text).into_decimal();
    assert_eq!(decimal("1.0"), decimal("1.00"));
    assert_eq!(decimal("1.0").into_secret(), decimal("1.00").into_secret());
    assert_eq!(json(&decimal("101.670")), r#""101.670""#);
    assert_ne!(decimal("1.0"), decimal("1.01"));
    assert_eq!(decimal("none"), of("none"));
    assert_eq!(json(&of(&0.25).into_decimal()), "0.25");
    assert_eq!(of(&5).into_decimal(), of(&5));
    let set = Tree::List(["10", "9.0", "-1"].map(decimal).to_vec()).into_set();
    assert_eq!(json(&set), r#"["-1","9.0","10"]"#);
    assert_eq!(set, Tree::List(["9", "-1.0", "1e1"].map(decimal).to_vec()).into_set());
}

#[test]
fn trees_that_look_the_same_are_equal() {
    assert_eq!(of(&f64::NAN), of(&f64::NAN));
    assert_ne!(of(&f64::NAN), of(&f64::INFINITY));
    assert_ne!(of(&1), of(&"1"));
    assert_ne!(of(&Figure::Pair(1, 2)), of(&Figure::Secret(1, 2)));
    let one = map([("a", of(&1)), ("b", of(&2))]);
    assert_eq!(one, map([("b", of(&2)), ("a", of(&1))]));
    assert_eq!(one.clone().into_secret(), map([("b", of(&2)), ("a", of(&1))]).into_secret());
    assert_ne!(one, map([("b", of(&1)), ("a", of(&2))]));
    assert_ne!(one, map([("b", of(&2))]));
}

#[test]
fn limits_apply_when_a_tree_is_written() {
    let rules = Rules { limits: Limits::default().length(2), mask: Mask::none() };
    let mut cuts = Vec::new();
    let written = map([("a", of(&[1, 2, 3]))]).to_json(&rules, "changes.x", &mut cuts);
    assert_eq!(written.as_str(), r#"{"a":[1,2,"… [cut: 1 more elements]"]}"#);
    assert_eq!(cuts[0].path, "changes.x.a");
}

#[test]
fn a_tree_can_be_written_by_any_serializer() {
    let tree = map([("a", of(&(1.5, -2, u64::MAX, "x", ()))), ("b", of(&Figure::Pair(1, 2)))]);
    assert_eq!(
        serde_json::to_string(&tree).expect("serializable"),
        r#"{"a":[1.5,-2,18446744073709551615,"x",null],"b":{"Pair":[1,2]}}"#
    );
}

#[test]
fn json_text_is_read_and_written_without_changes() {
    let text = r#"{"a":[1,-2,1.50,-0,1e3,18446744073709551616,true,null,"x\n"],"":{}}"#;
    assert_eq!(json(&Tree::from_json(text)), text);
    for text in ["", "[1", "[1,]", "{\"a\":}", "1 2", "{\"a\":1]", "nul", "[}", "]", "{1:2}"] {
        assert_eq!(Tree::from_json(text), Tree::Text(text.into()));
    }
    assert!(matches!(of(&Figure::Circle(None)), Tree::Variant("Circle", VariantForm::Newtype, _)));
}

proptest! {
    #[test]
    fn equality_order_and_hash_agree(a in any_tree(), b in any_tree(), c in any_tree()) {
        for (a, b) in [(&a, &b), (&b, &c), (&a, &a.clone())] {
            prop_assert_eq!(a == b, a.order(b).is_eq());
            prop_assert_eq!(a == b, a.clone().into_secret() == b.clone().into_secret()
                && matches!(a, Tree::Secret(_)) == matches!(b, Tree::Secret(_)));
            prop_assert_eq!(a.order(b), b.order(a).reverse());
        }
        let mut sorted = [&a, &b, &c];
        sorted.sort_by(|a, b| a.order(b));
        prop_assert!(sorted[0].order(sorted[2]).is_le());
    }
}
