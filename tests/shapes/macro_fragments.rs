//! Shape 73: arguments of the attributes that a `macro_rules!` receives as fragments.
//!
//! The compiler passes a fragment to an attribute in an invisible group.

use audited::fields::AuditedFields;
use audited::{Record, audit_method, audited_fields, testing};
use serde_json::{Value, json};

use crate::record_access::{input, single_record};

const CONSTANT: &str = "constant";

macro_rules! actions {
    ($literal:literal, $expr:expr, $tt:tt, $path:path, $call:expr, $parentheses:expr) => {
        #[audit_method(action = $literal)]
        fn literal() {}
        #[audit_method(action = $expr)]
        fn expr() {}
        #[audit_method(action = $tt)]
        fn tt() {}
        #[audit_method(action = $path)]
        fn path() {}
        #[audit_method(action = $call)]
        fn call() {}
        #[audit_method(action = $parentheses)]
        fn parentheses() {}
        #[audit_method(action = concat!($literal, " ", $expr))]
        fn joined() {}
        actions!(@again $expr);
    };
    (@again $expr:expr) => {
        #[audit_method(action = $expr)]
        fn again() {}
    };
}

actions!("literal", "expr", "tt", CONSTANT, concat!("con", "cat"), ("in parentheses"));

#[test]
fn n73_an_action_may_be_a_fragment() {
    let records = testing::capture(|| {
        literal();
        expr();
        tt();
        path();
        call();
        parentheses();
        joined();
        again();
    });
    let actions: Vec<_> = records.iter().map(|record| &*record.action).collect();
    let parentheses = "in parentheses";
    assert_eq!(
        actions,
        ["literal", "expr", "tt", "constant", "concat", parentheses, "literal expr", "expr"],
    );
}

/// Every other argument, in fragments.
macro_rules! settings {
    ($n:ident: $ty:ty, $skipped:ident, $path:path,
     $capture:literal, $log:literal, $durability:expr, $policy:literal) => {
        #[audit_method(
                                    skip($skipped), crate = $path, capture = $capture, log = $log,
                                    durability = $durability, on_audit_failure = $policy
                                )]
        fn set($n: $ty, $skipped: u8) -> $ty {
            $n + $skipped
        }

        #[audit_method(redact($n), debug($skipped))]
        fn hide($n: $ty, $skipped: Option<u8>) -> bool {
            $skipped.is_some_and(|other| other > $n)
        }
    };
}

settings!(n: u8, other, ::audited, "input", "warn", "queued", "continue");

macro_rules! flags {
    ($flag:ident, $name:ident = $value:literal, $($rest:tt)*) => {
        #[audit_method($flag, $name = $value, $($rest)*)]
        fn flagged(n: u8) -> u8 {
            n
        }
    };
}

flags!(skip_all, action = "flags", capture = "full");

macro_rules! whole {
    ($($attribute:meta),*) => {
        $(#[$attribute])*
        fn whole() {}
    };
}

whole!(audit_method(action = "whole"), inline);

#[test]
fn n73_other_arguments_may_be_fragments() {
    let record = single_record(|| assert_eq!(set(1, 2), 3));
    assert_eq!((input(&record), record.output), (json!({"n": 1}), None));
    let record = single_record(|| assert!(hide(1, Some(2))));
    assert_eq!(input(&record), json!({"n": "[redacted]", "other": "Some(2)"}));
    let record = single_record(|| assert_eq!(flagged(1), 1));
    assert_eq!((&*record.action, input(&record)), ("flags", json!({})));
    assert_eq!(&*single_record(whole).action, "whole");
}

/// An expression is one operand, whatever is in it.
macro_rules! details {
    ($n:ident, $sum:expr, $difference:expr, $label:expr, $pair:expr, $key:ident, $text:literal) => {
        #[audit_method(
                                    target = ($label, $sum * $difference),
                                    reason = $sum - $difference,
                                    fields(
                                        $key = $sum,
                                        $text = $sum * $difference,
                                        negative = -$sum,
                                        power = $sum.pow(2),
                                        cast = $sum as u8,
                                        compared = if $sum == 3 { "equal" } else { "different" },
                                        formatted = format!("{}", $sum * 2),
                                    )
                                )]
        fn details($n: i32) -> i32 {
            $sum * $difference
        }

        #[audit_method(target = $pair, reason = $n)]
        #[track_caller]
        fn pair($n: i32) -> i32 {
            if $n == 9 {
                return $sum * $difference;
            }
            $sum * $difference
        }

        #[audit_method(target = $pair)]
        async fn later($n: i32) -> i32 {
            $sum * $difference
        }
    };
}

details!(n, n + 1, 3 - 1, "number", ("pair", n + 2), first, "the.second");

fn target(record: &Record) -> (&str, &str) {
    (record.target_type.as_deref().unwrap(), record.target_id.as_deref().unwrap())
}

/// The same for the body.
macro_rules! body {
    ($n:ident: $ty:ty, $sum:expr, $minus:literal, $reference:expr, $closure:expr, $p:pat, $block:block) => {
        #[audit_method]
        fn body($n: $ty) -> Vec<i32> {
            let $p = $n else { $block };
            let doubled: $ty = $sum * 2;
            vec![
                doubled,
                10 - $sum,
                $minus.abs(),
                i32::from($sum == 3),
                $sum.pow(2),
                $reference[1],
                $closure(7),
                -$sum,
                $sum,
            ]
        }
    };
}

body!(n: i32, n + 1, -5_i32, &[1, 2], |x: i32| x + 1, (1 | 2), { return vec![] });

#[test]
fn n73_the_body_means_the_same() {
    let records = testing::capture(|| {
        assert_eq!(body(2), [6, 7, 5, 1, 9, 2, 8, -3, 3]);
        assert_eq!(body(3), [0; 0]);
    });
    assert_eq!(records.len(), 2);
}

#[tokio::test]
async fn n73_expressions_may_be_fragments() {
    let records = testing::capture_async(async {
        assert_eq!((details(2), pair(2), pair(9), later(2).await), (6, 6, 20, 6));
    })
    .await;
    assert_eq!(target(&records[0]), ("number", "6"));
    assert_eq!(records[0].reason.as_deref(), Some("1"));
    let extra: Value = records[0].context.as_ref().unwrap().to_value()["extra"].clone();
    assert_eq!(
        extra,
        json!({
            "first": 3, "the.second": 6, "negative": -3, "power": 9, "cast": 3,
            "compared": "equal", "formatted": "6",
        })
    );
    assert_eq!(target(&records[1]), ("pair", "4"));
    assert_eq!((target(&records[2]), target(&records[3])), (("pair", "11"), ("pair", "4")));
}

fn doubled(n: &u8) -> u8 {
    n * 2
}

macro_rules! types {
    ($parent:ident, $child:ident, $tuple:ident, $ty:ty, $path:path, $id:ident, $field:ident,
     $index:tt, $function:path, $old:literal, $new:expr, $option:ident, $crate_path:path) => {
        #[audited_fields(
                            $field(with = $function, rename = $new, was = $old), other($option);
                            key = $id, label = $id, name = $new, was = $old, crate = $crate_path
                        )]
        struct $parent {
            $id: u8,
            $field: u8,
            other: u8,
        }

        #[audited_fields($field; key = $id, parent = $ty(parent))]
        struct $child {
            $id: u8,
            parent: u8,
            $field: u8,
        }

        #[audited_fields($index; key = $index, parent = $path($index))]
        struct $tuple(u8);
    };
}

types!(
    Parent,
    Child,
    Tuple,
    Parent,
    Parent,
    id,
    field,
    0,
    doubled,
    "old",
    "new",
    redact,
    ::audited
);

#[test]
fn n73_arguments_of_audited_fields_may_be_fragments() {
    let info = Parent::TYPE;
    assert_eq!((info.name(), info.former_names(), info.label()), ("new", &["old"][..], Some("id")));
    let field = &info.fields()[0];
    assert_eq!((field.name(), field.former_names()), ("new", &["old"][..]));
    assert!(info.fields()[1].is_redacted());
    assert_eq!((Child::type_path(), Tuple::type_path()), ("new/Child".into(), "new/Tuple".into()));

    #[audit_method(skip_all)]
    fn change(parent: &mut Parent, child: &mut Child, tuple: &mut Tuple) {
        (parent.field, parent.other, child.field, tuple.0) = (2, 3, 4, 5);
    }
    let mut parent = Parent { id: 1, field: 1, other: 1 };
    let (mut child, mut tuple) = (Child { id: 1, parent: 1, field: 1 }, Tuple(1));
    let record = single_record(|| change(&mut parent, &mut child, &mut tuple));
    let changes: Vec<_> =
        record.changes.iter().map(|one| (&*one.target_type, &*one.field)).collect();
    let [new, child, tuple] = ["new", "new/Child", "new/Tuple"];
    assert_eq!(changes, [(new, "new"), (new, "other"), (child, "field"), (tuple, "0")]);
}
