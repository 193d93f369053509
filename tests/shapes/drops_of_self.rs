//! Shape 19 for `self` by value: its fields are dropped in the order of the bare function,
//! whichever fields the body mentions.

#![deny(warnings, unused_mut, unused_assignments, clippy::all, clippy::pedantic)]
// This lint objects to the shapes under test, which are intentional.
#![allow(clippy::needless_pass_by_value)]

use audited::testing;
use serde::Serialize;

use crate::drops::{Logged, take_log};
use crate::summary::block_on;

#[derive(Serialize)]
struct Whole {
    a: Logged,
    b: Logged,
    c: Logged,
}

fn whole() -> Whole {
    Whole { a: Logged("a"), b: Logged("b"), c: Logged("c") }
}

/// Defines the same methods once more, each with the given attribute.
macro_rules! methods {
    ($name:ident $(, #[$attribute:meta])?) => {
        mod $name {
            use super::{Logged, Whole};

            pub(super) trait Methods {
                fn reads(self, _x: Logged) -> usize;
                fn moves(self, _x: Logged);
                fn mentions_none(self, _x: Logged);
                fn assigns(self, _x: Logged);
                fn boxed(self: Box<Self>, _x: Logged) -> usize;
                async fn reads_later(self, _x: Logged) -> usize;
                async fn assigns_later(self, _x: Logged);
            }

            impl Methods for Whole {
                $(#[$attribute])?
                fn reads(self, _x: Logged) -> usize {
                    let _local = Logged("local");
                    self.b.0.len()
                }
                $(#[$attribute])?
                fn moves(self, _x: Logged) {
                    let _local = Logged("local");
                    drop(self.b);
                }
                $(#[$attribute])?
                fn mentions_none(self, _x: Logged) {
                    let _local = Logged("local");
                }
                $(#[$attribute])?
                fn assigns(mut self, _x: Logged) {
                    let _local = Logged("local");
                    self.c = Logged("assigned");
                }
                $(#[$attribute])?
                fn boxed(self: Box<Self>, _x: Logged) -> usize {
                    let _local = Logged("local");
                    self.b.0.len()
                }
                $(#[$attribute])?
                async fn reads_later(self, _x: Logged) -> usize {
                    let _local = Logged("local");
                    self.b.0.len()
                }
                $(#[$attribute])?
                async fn assigns_later(mut self, _x: Logged) {
                    let _local = Logged("local");
                    self.c = Logged("assigned");
                }
            }
        }
    };
}

methods!(bare);
methods!(recorded, #[audited::audit_method]);
methods!(skipped, #[audited::audit_method(skip(self))]);
methods!(all_skipped, #[audited::audit_method(skip_all)]);
methods!(redacted, #[audited::audit_method(redact(self))]);

/// The drop log of each method, and of a future that is never polled.
macro_rules! drop_logs {
    ($name:ident) => {{
        use $name::Methods as _;
        let x = || Logged("x");
        whole().reads(x());
        let reads = take_log();
        whole().moves(x());
        let moves = take_log();
        whole().mentions_none(x());
        let mentions_none = take_log();
        whole().assigns(x());
        let assigns = take_log();
        Box::new(whole()).boxed(x());
        let boxed = take_log();
        block_on(whole().reads_later(x()));
        let reads_later = take_log();
        block_on(whole().assigns_later(x()));
        let assigns_later = take_log();
        drop(whole().reads_later(x()));
        let never_polled = take_log();
        [reads, moves, mentions_none, assigns, boxed, reads_later, assigns_later, never_polled]
    }};
}

#[test]
fn n19_fields_of_self_are_dropped_in_the_order_of_the_bare_function() {
    let bare = drop_logs!(bare);
    assert_eq!(bare[0], ["local", "x", "a", "b", "c"]);
    assert_eq!(bare[1], ["b", "local", "x", "a", "c"]);
    assert_eq!(bare[3], ["c", "local", "x", "a", "b", "assigned"]);
    assert_eq!(drop_logs!(recorded), bare, "without a recorder");
    let records = testing::capture(|| {
        assert_eq!(drop_logs!(recorded), bare);
        assert_eq!(drop_logs!(skipped), bare, "skip(self)");
        assert_eq!(drop_logs!(all_skipped), bare, "skip_all");
        assert_eq!(drop_logs!(redacted), bare, "redact(self)");
    });
    // The future that is never polled is not a call.
    assert_eq!(records.len(), 4 * 7);
}
