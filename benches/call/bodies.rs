//! The same bodies under every attribute, by their number of arguments and of events.

use std::hint::black_box;

use audited::audit_method;
use fastrace::local::LocalSpan;

/// How a call looks, and among how many others it is made.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    pub(crate) arguments: u32,
    pub(crate) events: u32,
    pub(crate) threads: u32,
}

/// Three arguments, one event, one thread.
pub(crate) const USUAL: Shape = Shape { arguments: 3, events: 1, threads: 1 };

/// Makes one call; the number is different in each.
pub(crate) type Call = fn(u64);

#[derive(Debug, serde::Serialize)]
pub(crate) struct Receipt {
    number: u64,
    balance: u64,
}

#[derive(Debug)]
pub(crate) struct Refused;

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

/// What every body does: it books, and refuses what can't be booked.
pub(crate) fn book(from: u64, to: u64, purpose: &str) -> Result<Receipt, Refused> {
    if from == to {
        return Err(Refused);
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

/// A function for each number of arguments, with so many events.
macro_rules! calls {
    ($events:tt: $none:ident $three:ident $eight:ident, $(#[$attr:meta])*) => {
        $(#[$attr])*
        #[inline(never)]
        fn $none() -> Result<super::Receipt, super::Refused> {
            events!($events, 7);
            super::book(std::hint::black_box(4_711), 7, "invoice 4711")
        }

        $(#[$attr])*
        #[inline(never)]
        fn $three(from: u64, to: u64, purpose: &str) -> Result<super::Receipt, super::Refused> {
            events!($events, to);
            super::book(from, to, purpose)
        }

        $(#[$attr])*
        #[inline(never)]
        #[allow(clippy::too_many_arguments, reason = "that is what is measured")]
        fn $eight(
            from: u64,
            to: u64,
            purpose: &str,
            amount: f64,
            express: bool,
            currency: &str,
            fee: Option<u32>,
            note: &str,
        ) -> Result<super::Receipt, super::Refused> {
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

            /// The function of this shape.
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
                    _ => unreachable!("no such shape is in a table"),
                }
            }
        }
    };
}

module!(bare,);
module!(instrumented, #[tracing::instrument(ret, err)]);
module!(recorded, #[audited::audit_method]);

#[audit_method(action = "transfer funds (off)", capture = "none")]
#[inline(never)]
fn switched_off(from: u64, to: u64, purpose: &str) -> Result<Receipt, Refused> {
    events!(1, to);
    book(from, to, purpose)
}

pub(crate) fn off(_: Shape) -> Call {
    |n| drop(black_box(switched_off(black_box(n), black_box(7), black_box("invoice 4711"))))
}

/// The event and the result by hand, which its attribute does not record.
#[fastrace::trace(properties = { "from": "{from}", "to": "{to}", "purpose": "{purpose}" })]
#[inline(never)]
fn traced(from: u64, to: u64, purpose: &str) -> Result<Receipt, Refused> {
    LocalSpan::add_event(fastrace::Event::new("booked").with_property(|| ("to", to.to_string())));
    let result = book(from, to, purpose);
    LocalSpan::add_property(|| ("return", format!("{result:?}")));
    result
}

pub(crate) fn fast(number: u64) {
    drop(black_box(traced(black_box(number), black_box(7), black_box("invoice 4711"))));
}
