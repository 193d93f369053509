//! Shapes 49, 54 to 57 and 62: shadowed and renamed names, and functions inside macros.

use audited::{Outcome, audit_method, testing};
use serde_json::json;

use crate::record_access::{find_record, input, output, single_record};

// ---- 49 -----------------------------------------------------------------------------------------

/// Variants with names that the expansion could use.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
enum Verdict {
    Ok,
    Err,
    Some,
    None,
}

#[audit_method]
fn judge(n: u32) -> Verdict {
    use Verdict::*;
    #[allow(dead_code)]
    struct Result;
    #[allow(non_upper_case_globals, dead_code)]
    const __audited_call: u32 = 5;
    match n {
        0 => Ok,
        1 => Err,
        2 => Some,
        _ => None,
    }
}

#[test]
fn n49_names_in_the_body_do_not_affect_the_expansion() {
    for (n, verdict) in
        [Verdict::Ok, Verdict::Err, Verdict::Some, Verdict::None].into_iter().enumerate()
    {
        let n = u32::try_from(n).unwrap();
        let record = single_record(|| assert_eq!(judge(n), verdict));
        assert_eq!((record.outcome, output(&record)), (Outcome::Success, json!(verdict)));
    }
}

// ---- 54 -----------------------------------------------------------------------------------------

#[audit_method]
fn place(_n: u32) -> (u32, u32) {
    (line!(), column!())
}

#[test]
fn n54_the_body_keeps_its_source_location() {
    let line =
        include_str!("hygiene.rs").lines().position(|line| line == "    (line!(), column!())");
    let place = || assert_eq!(place(1), (u32::try_from(line.unwrap()).unwrap() + 1, 15));
    assert_eq!(input(&single_record(place)), json!({"_n": 1}));
}

// ---- 55 -----------------------------------------------------------------------------------------

#[allow(dead_code, non_camel_case_types, unused_macros)]
mod shadowed {
    mod core {}
    mod std {}
    mod alloc {}
    mod audited {}
    mod audit_core {}
    mod tracing {}
    mod serde {}
    pub(super) struct Ok;
    pub(super) struct Err;
    struct Some;
    struct None;
    struct Result;
    struct Option;
    struct Box;
    struct String;
    struct Vec;
    trait Future {}
    trait Send {}
    trait Drop {}
    trait FnOnce {}
    struct bool;
    struct u32;
    struct str;
    macro_rules! module_path {
        () => {
            compile_error!("shadowed")
        };
    }
    macro_rules! format_args {
        () => {
            compile_error!("shadowed")
        };
    }

    #[::audited::audit_method(action = "shadowed", capture = "full", log = "info", fields(n = n))]
    pub(super) fn sync(n: i64) -> ::std::result::Result<i64, ::std::string::String> {
        if n > 3 {
            ::std::result::Result::Err("above".into())
        } else {
            ::std::result::Result::Ok(n)
        }
    }

    #[::audited::audit_method]
    pub(super) async fn later(n: i64, (_, m): (i64, i64)) -> i64 {
        n + m
    }

    #[::audited::audit_method]
    pub(super) fn boxed(
        n: i64,
    ) -> ::std::pin::Pin<::std::boxed::Box<dyn ::std::future::Future<Output = i64>>> {
        ::std::boxed::Box::pin(async move { n })
    }

    #[::audited::audit_method]
    #[track_caller]
    pub(super) fn tracked(n: i64) -> i64 {
        n
    }

    #[::audited::audit_method]
    pub(super) fn own_ok(n: i64) -> Ok {
        let _ = n;
        Ok
    }
}

#[tokio::test]
async fn n55_shadowed_names_do_not_affect_the_expansion() {
    let records = testing::capture_async(async {
        assert_eq!(shadowed::sync(3), Ok(3));
        assert_eq!(shadowed::sync(4), Err("above".to_owned()));
        assert_eq!(shadowed::later(1, (0, 2)).await, 3);
        assert_eq!(shadowed::boxed(4).await, 4);
        assert_eq!(shadowed::tracked(5), 5);
        shadowed::own_ok(6);
    })
    .await;
    let ends: Vec<_> = records.iter().map(|record| (record.outcome, output(record))).collect();
    let success = |value| (Outcome::Success, value);
    assert_eq!(
        ends,
        [
            success(json!(3)),
            (Outcome::Failure, json!(null)),
            success(json!(3)),
            success(json!(4)),
            success(json!(5)),
            success(json!("<shapes_attributes::hygiene::shadowed::Ok>")),
        ]
    );
    assert_eq!(input(&records[2]), json!({"n": 1, "m": 2}));
}

// ---- 56 -----------------------------------------------------------------------------------------

mod vendor {
    pub(super) mod inner {
        pub(crate) use audited as trail;
        pub(crate) use audited::audit_method as on_record;
    }
}

mod renamed {
    use super::vendor::inner::on_record;

    #[on_record(crate = super::vendor::inner::trail)]
    pub(super) fn by_path(n: u32) -> u32 {
        n + 1
    }

    #[on_record(crate = "crate::hygiene::vendor::inner::trail", action = "by text")]
    pub(super) async fn by_text(n: u32) -> Result<u32, String> {
        n.checked_sub(1).ok_or_else(|| "zero".to_owned())
    }
}

#[tokio::test]
async fn n56_the_crate_may_have_another_name() {
    let records = testing::capture_async(async {
        assert_eq!(renamed::by_path(1), 2);
        assert_eq!(renamed::by_text(0).await, Err("zero".to_owned()));
    })
    .await;
    assert_eq!(output(find_record(&records, "by_path")), json!(2));
    assert_eq!((&*records[1].action, records[1].outcome), ("by text", Outcome::Failure));
}

// ---- 57 -----------------------------------------------------------------------------------------

macro_rules! getter {
    ($name:ident, $ty:ty, $argument:ident: $pattern:pat => $body:block) => {
        #[audit_method]
        fn $name($argument: $ty, $pattern: (u32, u32)) -> $ty $body
    };
}

getter!(doubled, u32, n: (a, _b) => { if n == 0 { return a } n * 2 });
getter!(joined, Option<Vec<u32>>, list: (a, b) => {
    let mut list = list?;
    list.extend([a, b]);
    Some(list)
});

macro_rules! on_record {
    ($($item:item)*) => { $(#[audit_method] $item)* };
}

on_record! {
    fn from_item(n: u32) -> Result<u32, String> {
        let n = n.checked_sub(1).ok_or("zero")?;
        Ok(n)
    }

    async fn from_async_item(words: &[&str]) -> String {
        words.join(" ")
    }
}

/// The names of the macro and of its caller do not collide.
macro_rules! with_local {
    ($name:ident, $extra:expr) => {
        #[audit_method(action = concat!("with ", stringify!($name)), fields(extra = $extra))]
        fn $name(call: u32, input: u32) -> u32 {
            let out = call + input;
            out + $extra
        }
    };
}

with_local!(local, 7);

macro_rules! methods {
    ($ty:ty; $($vis:vis fn $name:ident(&$self:ident) -> $out:ty $body:block)*) => {
        impl $ty {
            $(#[audit_method] $vis fn $name(&$self) -> $out $body)*
        }
    };
}

#[derive(Debug)]
struct Account {
    cents: u32,
}

methods! {
    Account;
    pub(super) fn cents(&self) -> u32 { self.cents }
    fn euros(&self) -> f64 { f64::from(self.cents()) / 100.0 }
}

#[tokio::test]
async fn n57_functions_generated_by_macro_rules_are_recorded() {
    let records = testing::capture_async(async {
        assert_eq!((doubled(2, (7, 8)), doubled(0, (7, 8))), (4, 7));
        assert_eq!(joined(Some(vec![1]), (2, 3)), Some(vec![1, 2, 3]));
        assert_eq!(joined(None, (2, 3)), None);
        assert_eq!(from_item(0), Err("zero".to_owned()));
        assert_eq!(from_async_item(&["a", "b"]).await, "a b");
        assert_eq!(local(1, 2), 10);
    })
    .await;
    let seen: Vec<_> = records.iter().map(|record| (input(record), output(record))).collect();
    assert_eq!(
        seen,
        [
            (json!({"n": 2, "a": 7, "_b": 8}), json!(4)),
            (json!({"n": 0, "a": 7, "_b": 8}), json!(7)),
            (json!({"list": [1], "a": 2, "b": 3}), json!([1, 2, 3])),
            (json!({"list": null, "a": 2, "b": 3}), json!(null)),
            (json!({"n": 0}), json!(null)),
            (json!({"words": ["a", "b"]}), json!("a b")),
            (json!({"call": 1, "input": 2}), json!(10)),
        ]
    );
    assert_eq!(records[6].action, "with local");
    assert_eq!(records[6].context.as_ref().unwrap().to_value(), json!({"extra": {"extra": 7}}));
}

#[test]
fn n57_methods_generated_by_macro_rules_are_recorded() {
    let records = testing::capture(|| assert_eq!(Account { cents: 250 }.euros(), 2.5));
    assert_eq!(output(find_record(&records, "cents")), json!(250));
    assert_eq!(input(find_record(&records, "euros")), json!({"self": "Account { cents: 250 }"}));
}

// ---- 62 -----------------------------------------------------------------------------------------

#[audit_method(action = "never kept", capture = "none", skip(n))]
fn switched_off(n: u32) -> u32 {
    n + doubled(1, (0, 0))
}

#[test]
fn n62_an_action_that_is_switched_off_runs_without_recording() {
    let record = single_record(|| assert_eq!(switched_off(1), 3));
    // Its callee is recorded as if it was called from outside.
    assert!(record.action.ends_with("::doubled"));
    assert_eq!(record.parent_id, None);
    // It also runs without a recorder.
    assert_eq!(switched_off(2), 4);
}

// Two parameters with the same name, which only hygiene distinguishes.
macro_rules! same_names {
    ($n:ident) => {
        #[audit_method]
        fn same_names($n: u8, n: u8) -> u8 {
            $n - n
        }
    };
}

same_names!(n);

#[test]
fn n57_parameters_may_differ_only_in_hygiene() {
    let records = audited::testing::capture(|| assert_eq!(same_names(3, 2), 1));
    assert_eq!(records.len(), 1);
}
