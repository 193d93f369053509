//! Number 19 for `self` by value: its fields are dropped as in the bare function, whichever the body names.

#![deny(warnings, unused_mut, unused_assignments, clippy::all, clippy::pedantic)]
// This lint speaks of the shapes, which are what they are on purpose.
#![allow(clippy::needless_pass_by_value)]

use std::cell::RefCell;

use audited::testing;
use serde::Serialize;

use crate::told::block_on;

thread_local! {
    static LOG: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// Tells when it is dropped.
#[derive(Serialize)]
struct Told(&'static str);

impl Drop for Told {
    fn drop(&mut self) {
        LOG.with_borrow_mut(|log| log.push(self.0));
    }
}

#[derive(Serialize)]
struct Whole {
    a: Told,
    b: Told,
    c: Told,
}

fn whole() -> Whole {
    Whole { a: Told("a"), b: Told("b"), c: Told("c") }
}

/// Defines the same methods once more, each with the attribute that is given.
macro_rules! methods {
    ($name:ident $(, #[$attribute:meta])?) => {
        mod $name {
            use super::{Told, Whole};

            pub(super) trait Methods {
                fn reads(self, _x: Told) -> usize;
                fn moves(self, _x: Told);
                fn mentions_none(self, _x: Told);
                fn assigns(self, _x: Told);
                fn boxed(self: Box<Self>, _x: Told) -> usize;
                async fn reads_later(self, _x: Told) -> usize;
                async fn assigns_later(self, _x: Told);
            }

            impl Methods for Whole {
                $(#[$attribute])?
                fn reads(self, _x: Told) -> usize {
                    let _local = Told("local");
                    self.b.0.len()
                }
                $(#[$attribute])?
                fn moves(self, _x: Told) {
                    let _local = Told("local");
                    drop(self.b);
                }
                $(#[$attribute])?
                fn mentions_none(self, _x: Told) {
                    let _local = Told("local");
                }
                $(#[$attribute])?
                fn assigns(mut self, _x: Told) {
                    let _local = Told("local");
                    self.c = Told("assigned");
                }
                $(#[$attribute])?
                fn boxed(self: Box<Self>, _x: Told) -> usize {
                    let _local = Told("local");
                    self.b.0.len()
                }
                $(#[$attribute])?
                async fn reads_later(self, _x: Told) -> usize {
                    let _local = Told("local");
                    self.b.0.len()
                }
                $(#[$attribute])?
                async fn assigns_later(mut self, _x: Told) {
                    let _local = Told("local");
                    self.c = Told("assigned");
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

/// What each of the methods drops, and a future that is never polled.
macro_rules! logs {
    ($name:ident) => {{
        use $name::Methods as _;
        let x = || Told("x");
        whole().reads(x());
        let reads = LOG.take();
        whole().moves(x());
        let moves = LOG.take();
        whole().mentions_none(x());
        let mentions_none = LOG.take();
        whole().assigns(x());
        let assigns = LOG.take();
        Box::new(whole()).boxed(x());
        let boxed = LOG.take();
        block_on(whole().reads_later(x()));
        let reads_later = LOG.take();
        block_on(whole().assigns_later(x()));
        let assigns_later = LOG.take();
        drop(whole().reads_later(x()));
        let never_polled = LOG.take();
        [reads, moves, mentions_none, assigns, boxed, reads_later, assigns_later, never_polled]
    }};
}

#[test]
fn n19_fields_of_self_are_dropped_in_the_order_of_the_bare_function() {
    let bare = logs!(bare);
    assert_eq!(bare[0], ["local", "x", "a", "b", "c"]);
    assert_eq!(bare[1], ["b", "local", "x", "a", "c"]);
    assert_eq!(bare[3], ["c", "local", "x", "a", "b", "assigned"]);
    assert_eq!(logs!(recorded), bare, "not on record");
    let records = testing::capture(|| {
        assert_eq!(logs!(recorded), bare);
        assert_eq!(logs!(skipped), bare, "skip(self)");
        assert_eq!(logs!(all_skipped), bare, "skip_all");
        assert_eq!(logs!(redacted), bare, "redact(self)");
    });
    // The future that was never polled is no call.
    assert_eq!(records.len(), 4 * 7);
}
