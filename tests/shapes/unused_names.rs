//! Shape 74: the compiler reports names that the body does not use, as in the bare function.
//!
//! `#[expect]` is the proof: it causes a warning itself if the lint is not reported.

#![deny(warnings)]

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use audited::{audit_method, testing};

struct Point {
    x: u8,
    y: u8,
}

/// Each function has two unused names, and one that is used.
macro_rules! unused {
    ($module:ident, $(#[$attribute:meta])*) => {
        mod $module {
            use super::*;

            $(#[$attribute])*
            pub(super) fn plain(
                #[expect(unused_variables)] a: u8,
                b: u8,
                #[expect(unused_variables)] c: u8,
            ) -> u8 {
                b
            }

            $(#[$attribute])*
            #[expect(unused_variables)]
            pub(super) fn on_the_function(a: u8, b: u8) -> u8 {
                b
            }

            $(#[$attribute])*
            pub(super) fn in_patterns(
                #[expect(unused_variables)] (a, b): (u8, u8),
                #[expect(unused_variables)] Point { x, y: z }: Point,
                #[expect(unused_variables)] [first, .., last]: [u8; 3],
            ) -> u8 {
                b + z + last
            }

            $(#[$attribute])*
            pub(super) fn whole_patterns(#[expect(unused_variables)] (a, b): (u8, u8)) {}

            $(#[$attribute])*
            pub(super) fn shadowed(#[expect(unused_variables)] a: u8, #[expect(unused_variables)] (b, c): (u8, u8)) -> u8 {
                let (a, b) = (1, 2);
                a + b + c
            }

            $(#[$attribute])*
            pub(super) fn mutable(
                #[expect(unused_mut)] mut a: u8,
                #[expect(unused_mut)] (mut b, mut c): (u8, u8),
            ) -> u8 {
                c += 1;
                a + b + c
            }

            $(#[$attribute])*
            pub(super) fn assigned(#[expect(unused_assignments)] mut a: u8) -> u8 {
                a = 2;
                a
            }

            $(#[$attribute])*
            pub(super) async fn later(
                #[expect(unused_variables)] a: u8,
                #[expect(unused_variables)] (b, c): (u8, u8),
            ) -> u8 {
                c
            }

            $(#[$attribute])*
            #[track_caller]
            pub(super) fn tracked(
                #[expect(unused_variables)] a: u8,
                #[expect(unused_variables)] (b, c): (u8, u8),
            ) -> u8 {
                c
            }

            $(#[$attribute])*
            pub(super) fn opaque(
                #[expect(unused_variables)] a: u8,
                #[expect(unused_variables)] (b, c): (u8, u8),
            ) -> impl Iterator<Item = u8> {
                0..c
            }

            $(#[$attribute])*
            pub(super) fn shown(#[expect(unused_variables)] a: u8) -> impl Debug {}

            $(#[$attribute])*
            pub(super) fn boxed(
                #[expect(unused_variables)] (a, b): (u8, u8),
            ) -> Pin<Box<dyn Future<Output = u8>>> {
                Box::pin(async move { b })
            }

            $(#[$attribute])*
            pub(super) fn references(
                #[expect(unused_variables)] (a, b): &(u8, u8),
                #[expect(unused_variables)] &(c, ref d): &(u8, u8),
                #[expect(unused_variables)] (ref mut e, f): (u8, u8),
                #[expect(unused_variables)] g @ (h, _): (u8, u8),
            ) -> u8 {
                *e += 1;
                b + d + *e + h
            }

            $(#[$attribute])*
            #[expect(dead_code)]
            fn dead(a: u8) -> u8 {
                a
            }
        }
    };
}

unused!(bare_functions,);
unused!(audited_functions, #[audit_method]);

macro_rules! calls {
    ($module:ident) => {{
        use $module::*;
        let block_on = |future: Pin<Box<dyn Future<Output = u8>>>| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(future)
        };
        shown(1);
        whole_patterns((1, 2));
        [
            plain(1, 2, 3),
            on_the_function(1, 2),
            in_patterns((1, 2), Point { x: 1, y: 2 }, [1, 2, 3]),
            shadowed(5, (6, 7)),
            mutable(1, (2, 3)),
            assigned(1),
            block_on(Box::pin(later(1, (2, 3)))),
            tracked(1, (2, 3)),
            opaque(1, (2, 3)).sum(),
            block_on(boxed((1, 2))),
            references(&(1, 2), &(3, 4), (5, 6), (7, 8)),
        ]
    }};
}

#[test]
fn n74_unused_names_are_reported() {
    let records =
        testing::capture(|| assert_eq!(calls!(audited_functions), calls!(bare_functions)));
    let inputs: Vec<_> = records.iter().map(|record| record.input.as_ref().unwrap()).collect();
    let inputs: Vec<_> = inputs.iter().map(|input| input.as_str()).collect();
    assert_eq!(
        inputs,
        [
            r#"{"a":1}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":1,"b":2,"c":3}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":1,"b":2,"x":1,"z":2,"first":1,"last":3}"#,
            r#"{"a":5,"b":6,"c":7}"#,
            r#"{"a":1,"b":2,"c":3}"#,
            r#"{"a":1}"#,
            r#"{"a":1,"b":2,"c":3}"#,
            r#"{"a":1,"b":2,"c":3}"#,
            r#"{"a":1,"b":2,"c":3}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":[7,8],"h":7}"#,
        ]
    );
}
