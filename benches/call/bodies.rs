//! The measured functions: the same bodies with each attribute, by number of arguments and events.

use std::hint::black_box;

use audited::audit_method;
use fastrace::local::LocalSpan;

/// The number of arguments and events of a call, and of threads that make it at once.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    pub(crate) arguments: u32,
    pub(crate) events: u32,
    pub(crate) threads: u32,
}

/// Three arguments, one event, one thread.
pub(crate) const DEFAULT_SHAPE: Shape = Shape { arguments: 3, events: 1, threads: 1 };

/// Makes one call. Each call gets a different number.
pub(crate) type Call = fn(u64);

#[derive(Debug, serde::Serialize)]
pub(crate) struct Receipt {
    number: u64,
    balance: u64,
}

#[derive(Debug)]
pub(crate) struct Rejected;

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rejected")
    }
}

impl std::error::Error for Rejected {}

/// The work of every body: it books a transfer, or rejects it if both accounts are the same.
pub(crate) fn book(from: u64, to: u64, purpose: &str) -> Result<Receipt, Rejected> {
    if from == to {
        return Err(Rejected);
    }
    Ok(Receipt { number: from ^ to, balance: from + purpose.len() as u64 })
}

macro_rules! events {
    (0, $to:expr) => {};
    (1, $to:expr) => {
        tracing::info!(to = $to, "booked")
    };
    (4, $to:expr) => {
        events!(1, $to);
        events!(1, $to);
        events!(1, $to);
        events!(1, $to)
    };
}

/// Defines a function for each number of arguments, with the given number of events.
macro_rules! calls {
    ($events:tt: $none:ident $three:ident $eight:ident, $(#[$attr:meta])*) => {
        $(#[$attr])*
        #[inline(never)]
        fn $none() -> Result<super::Receipt, super::Rejected> {
            events!($events, 7);
            super::book(std::hint::black_box(4_711), 7, "invoice 4711")
        }

        $(#[$attr])*
        #[inline(never)]
        fn $three(from: u64, to: u64, purpose: &str) -> Result<super::Receipt, super::Rejected> {
            events!($events, to);
            super::book(from, to, purpose)
        }

        $(#[$attr])*
        #[inline(never)]
        #[allow(clippy::too_many_arguments, reason = "their cost is measured")]
        fn $eight(
            from: u64,
            to: u64,
            purpose: &str,
            amount: f64,
            express: bool,
            currency: &str,
            fee: Option<u32>,
            note: &str,
        ) -> Result<super::Receipt, super::Rejected> {
            events!($events, to);
            std::hint::black_box((amount, express, currency, fee, note));
            super::book(from, to, purpose)
        }
    };
}

macro_rules! module {
    ($name:ident, $(#[$attr:meta])*) => {
        pub(crate) mod $name {
            use std::hint::black_box;

            calls!(0: none_0 three_0 eight_0, $(#[$attr])*);
            calls!(1: none_1 three_1 eight_1, $(#[$attr])*);
            calls!(4: none_4 three_4 eight_4, $(#[$attr])*);

            /// Returns the function with this shape.
            pub(crate) fn call(shape: super::Shape) -> super::Call {
                macro_rules! none {
                    ($call:ident) => { |_| drop(black_box($call())) };
                }
                macro_rules! three {
                    ($call:ident) => {
                        |n| drop(black_box($call(black_box(n), black_box(7), black_box("invoice 4711"))))
                    };
                }
                macro_rules! eight {
                    ($call:ident) => {
                        |n| drop(black_box($call(
                            black_box(n), black_box(7), black_box("invoice 4711"), black_box(101.67),
                            black_box(true), black_box("EUR"), black_box(Some(25)), black_box("by phone"),
                        )))
                    };
                }
                match (shape.arguments, shape.events) {
                    (0, 0) => none!(none_0),
                    (0, 1) => none!(none_1),
                    (0, 4) => none!(none_4),
                    (3, 0) => three!(three_0),
                    (3, 1) => three!(three_1),
                    (3, 4) => three!(three_4),
                    (8, 0) => eight!(eight_0),
                    (8, 1) => eight!(eight_1),
                    (8, 4) => eight!(eight_4),
                    _ => unreachable!("no table has this shape"),
                }
            }
        }
    };
}

module!(bare,);
module!(instrumented, #[tracing::instrument(ret, err)]);
module!(with_audit_method, #[audited::audit_method]);

#[audit_method(action = "transfer funds (off)", capture = "none")]
#[inline(never)]
fn switched_off(from: u64, to: u64, purpose: &str) -> Result<Receipt, Rejected> {
    events!(1, to);
    book(from, to, purpose)
}

pub(crate) fn switched_off_call(_: Shape) -> Call {
    |n| drop(black_box(switched_off(black_box(n), black_box(7), black_box("invoice 4711"))))
}

/// Records the event and the result in code, because `fastrace::trace` does not.
#[fastrace::trace(properties = { "from": "{from}", "to": "{to}", "purpose": "{purpose}" })]
#[inline(never)]
fn traced(from: u64, to: u64, purpose: &str) -> Result<Receipt, Rejected> {
    LocalSpan::add_event(fastrace::Event::new("booked").with_property(|| ("to", to.to_string())));
    let result = book(from, to, purpose);
    LocalSpan::add_property(|| ("return", format!("{result:?}")));
    result
}

pub(crate) fn traced_call(number: u64) {
    drop(black_box(traced(black_box(number), black_box(7), black_box("invoice 4711"))));
}
