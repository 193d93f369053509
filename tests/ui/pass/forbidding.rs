//! A crate that forbids lints, so that nothing in it can allow them, can be audited.

#![forbid(unreachable_code, unused_mut, unused_variables, unused_assignments, unused_braces)]
#![forbid(redundant_semicolons, clippy::all, clippy::pedantic, clippy::shadow_same)]
#![forbid(unsafe_code, unused, deprecated, dead_code)]
#![deny(warnings)]

use audited::fields::AuditedFields;
use audited::{CompareParts, Tracked, audit_method, audited_fields};

#[audit_method]
fn plain(n: u8, m: u8, _unused: &str) -> u8 {
    n + m
}

#[audit_method]
async fn later(n: u8, _unused: &str) -> u8 {
    std::future::ready(n).await
}

#[audit_method]
async fn a_future(n: u8) -> std::future::Ready<u8> {
    std::future::ready(n)
}

#[audit_method]
#[track_caller]
fn tracked(n: u8, _unused: &str) -> u8 {
    if n > 3 {
        return 3;
    }
    n
}

#[audit_method]
#[track_caller]
fn never_ends(n: u8) -> u8 {
    loop {
        if n > 3 {
            return n;
        }
    }
}

#[audit_method]
fn iterator(n: u8) -> impl Iterator<Item = u8> { 0..n }

#[audit_method]
fn function(n: u8) -> impl Fn(u8) -> u8 { move |m| n + m }

#[audit_method]
fn sized(n: u8) -> impl Sized { n }

#[audit_method]
fn maybe_function(n: u8) -> Option<impl Fn(u8) -> u8> { n.checked_add(1).map(|n| move |m| n + m) }

macro_rules! ends_in_a_block {
    ($name:ident, $block:block) => {
        #[audit_method]
        fn $name(n: u8) -> u8 {
            if n > 3 {
                return n;
            }
            $block
        }
    };
}

ends_in_a_block!(block, { plain(1, 2, "") });

struct Pair(u8, String);

impl Pair {
    #[audit_method(skip_all)]
    fn longer(mut self, _by: u8) -> usize {
        self.1.push('a');
        self.1.len() + usize::from(self.0)
    }
}

#[audited_fields(name, rows(debug), pin(redact), size(with = Vec::len))]
struct Plane<T> {
    id: u64,
    name: T,
    rows: Vec<u8>,
    pin: u16,
    size: Vec<T>,
}

/// Compared by their parts.
#[derive(CompareParts)]
struct NoParts;

#[derive(CompareParts)]
struct Generic<'a, T: ?Sized, const N: usize> {
    text: &'a str,
    list: [u8; N],
    value: Box<T>,
}

#[derive(CompareParts)]
enum Shape {
    Empty,
    Round(u8),
    Square { side: u8, corner: (u8, u8) },
}

#[derive(CompareParts)]
enum Single {
    Only(u8),
}

#[derive(CompareParts)]
enum Never {}

#[audited_fields(only; key = only)]
struct Wrapper<'a, T> {
    only: &'a T,
}

fn main() {
    let shapes = [Shape::Empty, Shape::Round(1), Shape::Square { side: 1, corner: (1, 1) }];
    for shape in &shapes {
        if let Shape::Round(n) = shape {
            assert_eq!(*n, 1);
        }
        if let Shape::Square { side, corner } = shape {
            assert_eq!(*side, corner.0);
        }
    }
    let Single::Only(_) = Single::Only(1);
    let _never: Option<Never> = None;
    let _no_parts = NoParts;
    let generic = Generic { text: "", list: [0; 2], value: Box::<str>::from("x") };
    assert_eq!((generic.text, generic.list.len(), &*generic.value), ("", 2, "x"));
    let _wrapper = Tracked::new(Wrapper { only: &1 });
    let mut plane =
        Tracked::loaded(Plane { id: 1, name: "a", rows: vec![1], pin: 2, size: vec![] });
    plane.name = "b";
    assert_eq!(plane.target_id(), "1");
    let records = audited::testing::capture(|| {
        assert_eq!(plain(1, 2, ""), 3);
        drop((later(1, ""), a_future(1)));
        assert_eq!(tracked(5, "") + tracked(2, "") + never_ends(4), 9);
        assert_eq!(iterator(3).count(), 3);
        assert_eq!(function(1)(2), 3);
        let _sized = sized(1);
        assert_eq!(maybe_function(1).map(|add| add(1)), Some(3));
        assert_eq!(block(1), 3);
        assert_eq!(Pair(1, String::new()).longer(1), 2);
    });
    assert_eq!(records.len(), 11);
}
