//! The edits between trees, and applying them.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::support::*;
use crate::value::Tree;
use crate::value::apply::{ApplyError, apply};
use crate::value::diff::{Edit, diff};
use crate::value::tree::MapEntry;

/// The edits as rows: path, before, after.
fn rows(before: &Tree, after: &Tree) -> Vec<(String, String, String)> {
    let text = |tree: Option<&Tree>| tree.map_or("-".to_owned(), json);
    let row = |edit: Edit<'_>| (edit.path, text(edit.before), text(edit.after));
    diff("f", before, after, 1_000).into_iter().map(row).collect()
}

#[track_caller]
fn assert_edits<const N: usize>(before: &Tree, after: &Tree, expected: [(&str, &str, &str); N]) {
    let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(rows(before, after), expected);
    apply_all(before, after, 1_000).expect("the edits lead from one to the other");
}

/// A value as it is read back from a store: JSON, with sets where `like` has them.
fn restored(tree: &Tree, like: &Tree) -> Tree {
    match (tree, like) {
        (Tree::List(elements), Tree::Set(likes)) => {
            // The elements of a set have no order: each belongs to the one whose JSON it is.
            let mut left: Vec<_> = elements.clone();
            let mut set = Vec::new();
            for like in likes {
                let same = |element: &Tree| restored(element, like) == *like;
                match left.iter().position(same) {
                    Some(at) => set.push(restored(&left.remove(at), like)),
                    None => return tree.clone(),
                }
            }
            set.extend(left);
            Tree::List(set).into_set()
        }
        (Tree::List(elements), Tree::List(likes)) if elements.len() == likes.len() => Tree::List(
            elements.iter().zip(likes).map(|(element, like)| restored(element, like)).collect(),
        ),
        (Tree::Map(entries), Tree::Map(likes)) => {
            let entry = |(key, tree): &MapEntry| {
                let like = likes.iter().find(|(other, _)| other == key);
                (key.clone(), like.map_or_else(|| tree.clone(), |(_, like)| restored(tree, like)))
            };
            Tree::Map(entries.iter().map(entry).collect())
        }
        (Tree::Map(entries), Tree::Variant(name, form, data))
            if entries.len() == 1 && entries[0].0 == *name =>
        {
            Tree::Variant(name, *form, Box::new(restored(&entries[0].1, data)))
        }
        (Tree::Text(text), Tree::Decimal { .. }) => Tree::Text(text.clone()).into_decimal(),
        (Tree::Text(text), Tree::Secret(hash)) if &**text == "[redacted]" => Tree::Secret(*hash),
        _ => tree.clone(),
    }
}

fn apply_all(before: &Tree, after: &Tree, limit: usize) -> Result<usize, TestCaseError> {
    let edits = diff("f \"1\"", before, after, limit);
    let mut typed = map([("other", Tree::Null)]);
    typed = match typed {
        Tree::Map(mut entries) => {
            entries.push(("f \"1\"".into(), before.clone()));
            Tree::Map(entries)
        }
        other => other,
    };
    let mut plain = read_back(&typed);
    for Edit { path, before, after } in &edits {
        prop_assert!(before.is_some() || after.is_some());
        prop_assert_eq!(apply(&mut typed, path, *before, *after), Ok(()), "{}", path);
        let (before, after) = (before.map(read_back), after.map(read_back));
        let done = apply(&mut plain, path, before.as_ref(), after.as_ref());
        prop_assert_eq!(done, Ok(()), "{}", path);
    }
    let (Tree::Map(typed), Tree::Map(plain)) = (&typed, &plain) else { panic!("maps stay maps") };
    prop_assert_eq!(&typed[1].1, after);
    prop_assert_eq!(&restored(&plain[1].1, after), after);
    Ok(edits.len())
}

#[test]
fn fields_and_keys_have_a_path() {
    let before = map([("city", of("Ulm")), ("zip", of(&1)), ("geo", map([("lat", of(&1.5))]))]);
    let after = map([("city", of("Bonn")), ("zip", of(&1)), ("geo", map([("lat", of(&2.5))]))]);
    assert_edits(
        &before,
        &after,
        [("f.city", r#""Ulm""#, r#""Bonn""#), ("f.geo.lat", "1.5", "2.5")],
    );
    assert_edits(
        &map([("b c", of(&1)), ("a", of(&1)), ("same", of(&1))]),
        &map([("same", of(&1)), ("é", of(&1)), ("", of(&1)), ("a", Tree::Null)]),
        [
            (r#"f[""]"#, "-", "1"),
            ("f.a", "1", "null"),
            (r#"f["b c"]"#, "1", "-"),
            ("f.é", "-", "1"),
        ],
    );
}

#[test]
fn keys_of_maps_are_sorted_and_fields_are_not() {
    let counts = |add: u64| {
        of(&std::collections::HashMap::from([("c", add), ("a", add), ("d", add), ("b", add)]))
    };
    let paths: Vec<_> = rows(&counts(1), &counts(2)).into_iter().map(|row| row.0).collect();
    assert_eq!(paths, ["f.a", "f.b", "f.c", "f.d"]);
    let fields = |n: u8| map([("z", of(&n)), ("a", of(&n))]);
    assert_edits(&fields(1), &fields(2), [("f.z", "1", "2"), ("f.a", "1", "2")]);
}

#[test]
fn scalars_and_values_of_another_kind_are_replaced() {
    assert_edits(&of(&1), &of(&1), []);
    assert_edits(&of(&f64::NAN), &of(&f64::NAN), []);
    assert_edits(&of(&1.5), &of(&f64::NAN), [("f", "1.5", r#""NaN""#)]);
    assert_edits(&of(&[1, 2]), &map([("a", of(&1))]), [("f", "[1,2]", r#"{"a":1}"#)]);
    assert_edits(&of(&None::<u8>), &of(&Some([1])), [("f", "null", "[1]")]);
    assert_edits(
        &of(&Ok::<_, u8>([1, 2])),
        &of(&Ok::<_, u8>([1, 3])),
        [("f", r#"{"Ok":[1,2]}"#, r#"{"Ok":[1,3]}"#)],
    );
    let decimal = |text: &str| of(text).into_decimal();
    assert_edits(&decimal("101.67"), &decimal("101.670"), []);
    assert_edits(&decimal("101.67"), &decimal("101.68"), [("f", r#""101.67""#, r#""101.68""#)]);
}

#[test]
fn elements_of_sets_are_removed_and_added() {
    assert_edits(
        &of(&HashSet::from([3, 1, 2, 10])),
        &of(&HashSet::from([2, 10, 4, 0])),
        [("f[]", "1", "-"), ("f[]", "3", "-"), ("f[]", "-", "0"), ("f[]", "-", "4")],
    );
    assert_edits(
        &of(&["a", "a", "b"]).into_set(),
        &of(&["b", "a", "c", "c"]).into_set(),
        [("f[]", r#""a""#, "-"), ("f[]", "-", r#""c""#), ("f[]", "-", r#""c""#)],
    );
    assert_edits(&of(&["b", "a"]).into_set(), &of(&["a", "b"]).into_set(), []);
    assert_edits(
        &map([("ids", of(&[1]).into_set())]),
        &map([("ids", of(&[2]).into_set())]),
        [("f.ids[]", "1", "-"), ("f.ids[]", "-", "2")],
    );
}

#[test]
fn elements_of_lists_are_replaced_removed_and_inserted() {
    assert_edits(&of(&[1, 2, 3]), &of(&[1, 9, 3]), [("f[1]", "2", "9")]);
    assert_edits(&of(&[1, 3]), &of(&[1, 2, 3]), [("f[1]", "-", "2")]);
    assert_edits(&of(&[1, 2, 3, 4]), &of(&[1, 4]), [("f[2]", "3", "-"), ("f[1]", "2", "-")]);
    assert_edits(&of(&[0; 0]), &of(&[7, 8]), [("f[0]", "-", "7"), ("f[1]", "-", "8")]);
    assert_edits(
        &of(&["a", "b", "c", "d", "e", "f"]),
        &of(&["x", "b", "d", "e", "y", "f", "z"]),
        [
            ("f[0]", r#""a""#, r#""x""#),
            ("f[2]", r#""c""#, "-"),
            ("f[4]", "-", r#""y""#),
            ("f[6]", "-", r#""z""#),
        ],
    );
    let item = |name: &str, count: u8| map([("name", of(name)), ("count", of(&count))]);
    assert_edits(
        &Tree::List(vec![item("a", 1), item("b", 1), item("c", 1)]),
        &Tree::List(vec![item("a", 1), item("b", 2), item("d", 1)]),
        [("f[1].count", "1", "2"), ("f[2].name", r#""c""#, r#""d""#)],
    );
}

#[test]
fn a_changed_secret_is_an_edit_at_its_path() {
    let tree = |password: &str| {
        of(&std::collections::BTreeMap::from([("a", "x"), ("password", password)]))
    };
    assert_edits(&tree("x"), &tree("x"), []);
    assert_edits(&tree("x"), &tree("y"), [("f.password", r#""[redacted]""#, r#""[redacted]""#)]);
}

#[test]
fn more_edits_than_the_limit_become_one() {
    let (before, after) = (of(&[1, 2, 3, 4]), of(&[5, 6, 7, 8]));
    let paths = |limit| -> Vec<_> {
        diff("f", &before, &after, limit).into_iter().map(|edit| edit.path).collect()
    };
    assert_eq!(paths(4), ["f[0]", "f[1]", "f[2]", "f[3]"]);
    assert_eq!(paths(3), ["f"]);
    assert_eq!(
        diff("a b", &before, &after, 0),
        [Edit { path: r#"["a b"]"#.into(), before: Some(&before), after: Some(&after) }]
    );
    assert_eq!(diff("f", &before, &before, 0), []);
    let (before, after) = (of(&[1, 2]).into_set(), of(&[2, 3]).into_set());
    assert_eq!(diff("f", &before, &after, 1).len(), 1);
    assert_eq!(diff("f", &before, &after, 1)[0].path, "f");
}

#[test]
fn large_lists_are_compared_quickly() {
    let numbers = |from: u64, to: u64| Tree::List((from..to).map(Tree::Unsigned).collect());
    let before = numbers(0, 100_000);
    assert_edits(&before, &numbers(1, 100_001), [("f[0]", "0", "-"), ("f[99999]", "-", "100000")]);
    assert_eq!(diff("f", &before, &numbers(100_000, 200_000), 1_000).len(), 1);
    assert_eq!(diff("f", &before, &numbers(100_000, 200_000), usize::MAX).len(), 100_000);
    let shuffled = Tree::List((0..100_000).map(|n| Tree::Unsigned(n * 7 % 100_000)).collect());
    assert_eq!(diff("f", &before, &shuffled, 1_000).len(), 1);
    let (before, after) = (before.into_set(), numbers(3, 100_001).into_set());
    assert_eq!(diff("f", &before, &after, 1_000).len(), 4);
    let two = Tree::List((0..100_000).map(|n| Tree::Unsigned(n % 2)).collect());
    let three = Tree::List((0..100_000).map(|n| Tree::Unsigned(n % 3 % 2)).collect());
    assert_eq!(diff("f", &two, &three, 1_000).len(), 1);
}

#[test]
fn edits_that_do_not_fit_are_errors() {
    let one = Tree::Unsigned(1);
    let state = map([("a", of(&[1, 2])), ("m", map([("k", of(&1))])), ("n", of(&1))]);
    for (path, before, after, wrong) in [
        ("", true, true, ApplyError::InvalidPath),
        ("a[", true, true, ApplyError::InvalidPath),
        ("a[][]", true, false, ApplyError::InvalidPath),
        ("a", false, false, ApplyError::NoValue),
        ("a[2]", true, true, ApplyError::NoSuchPlace),
        ("a[3]", false, true, ApplyError::NoSuchPlace),
        ("a[2]", true, false, ApplyError::NoSuchPlace),
        ("a[18446744073709551615]", false, true, ApplyError::NoSuchPlace),
        ("a[0][0]", true, true, ApplyError::NoSuchPlace),
        ("a.k", false, true, ApplyError::NoSuchPlace),
        ("m[0]", false, true, ApplyError::NoSuchPlace),
        ("m[]", false, true, ApplyError::NoSuchPlace),
        ("m.x", true, false, ApplyError::NoSuchPlace),
        ("n[]", false, true, ApplyError::NoSuchPlace),
        ("n.x", false, true, ApplyError::NoSuchPlace),
        ("x.y", false, true, ApplyError::NoSuchPlace),
        ("m[]", true, true, ApplyError::NoSuchPlace),
    ] {
        let mut changed = state.clone();
        let (before, after) = (before.then_some(&one), after.then_some(&one));
        assert_eq!(apply(&mut changed, path, before, after), Err(wrong), "{path}");
        assert_eq!(changed, state, "{path}");
    }
    let three = Tree::Unsigned(3);
    assert_eq!(apply(&mut state.clone(), "a[]", Some(&three), None), Err(ApplyError::NoSuchPlace));
    assert_eq!(apply(&mut Tree::Null, "a", None, Some(&one)), Err(ApplyError::NoSuchPlace));
    let deep = "[0]".repeat(100_000);
    assert_eq!(
        apply(&mut state.clone(), &format!("a{deep}"), None, Some(&one)),
        Err(ApplyError::NoSuchPlace)
    );
}

#[test]
fn unknown_fields_can_be_edited() {
    let mut state = map([]);
    assert_eq!(apply(&mut state, "age", Some(&of(&25)), Some(&of(&26))), Ok(()));
    assert_eq!(state, map([("age", of(&26))]));
    assert_eq!(apply(&mut state, "age", Some(&of(&26)), None), Ok(()));
    assert_eq!(apply(&mut state, "age", Some(&of(&26)), None), Ok(()));
    assert_eq!(state, map([]));
}

#[test]
fn a_decimal_is_removed_from_a_set_however_it_is_written() {
    let mut state = map([("f", of(&["1.0", "2.5"]))]);
    assert_eq!(apply(&mut state, "f[]", Some(&of("2.50")), None), Ok(()));
    assert_eq!(state, map([("f", of(&["1.0"]))]));
}

fn any_pair() -> impl Strategy<Value = (Tree, Tree)> {
    prop_oneof![
        1 => (any_tree(), any_tree()),
        4 => any_tree().prop_flat_map(|tree| (Just(tree.clone()), changed(tree))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_edits_lead_from_before_to_after((before, after) in any_pair(), limit in 0_usize..12) {
        let edits = apply_all(&before, &after, usize::MAX)?;
        prop_assert_eq!(edits == 0, before == after);
        prop_assert!(apply_all(&before, &after, limit)? <= limit.max(1));
        apply_all(&after, &before, usize::MAX)?;
    }

    #[test]
    fn apply_accepts_any_path(
        mut state in any_tree(),
        path in r#"[a-c](\[[0-3]?\]|\.[a-c]|[a\[\]".0-9\\é]){0,4}"#,
        before in any::<bool>(),
        after in any::<bool>(),
    ) {
        let value = Tree::Unsigned(1);
        let (before, after) = (before.then_some(&value), after.then_some(&value));
        let _ = apply(&mut state, &path, before, after);
    }
}
