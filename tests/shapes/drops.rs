//! Numbers 18 and 19: what is dropped, and when. Each function has a bare twin, and both must drop alike.

#![deny(warnings, unsafe_op_in_unsafe_fn, unused_mut, clippy::all, clippy::pedantic)]
// These lints speak of the shapes, which are what they are on purpose.
#![allow(clippy::needless_pass_by_value, clippy::needless_borrow)]

use std::cell::RefCell;
use std::panic::catch_unwind;

use audited::testing;

use crate::told::{Bad, block_on};

thread_local! {
    static LOG: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

fn log(what: &'static str) {
    LOG.with_borrow_mut(|log| log.push(what));
}

fn take_log() -> Vec<&'static str> {
    LOG.take()
}

/// Tells when it is dropped.
struct Told(&'static str);

impl Told {
    fn ok(&self) -> Result<usize, Bad> {
        if self.0.is_empty() { Err(Bad) } else { Ok(self.0.len()) }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        log(self.0);
    }
}

struct Pair {
    left: Told,
    #[expect(dead_code, reason = "it is only dropped")]
    right: Told,
}

/// How a body is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    End,
    Return,
    Question,
    Panic,
}

impl Way {
    const ALL: [Self; 4] = [Self::End, Self::Return, Self::Question, Self::Panic];

    fn fail(self) -> Result<usize, Bad> {
        if self == Self::Question { Err(Bad) } else { Ok(1) }
    }
}

/// Defines the same functions twice: in `annotated` with the attribute, in `bare` without.
macro_rules! twins {
    ($($item:item)*) => {
        mod annotated {
            use super::*;
            $(#[audited::audit_method(skip_all)] $item)*
        }
        mod bare {
            use super::*;
            $($item)*
        }
    };
}

twins! {
    pub(crate) fn in_order(way: Way, first: Told, mut second: Told, third: Told) -> Result<usize, Bad> {
        let _local = Told("local");
        second.0 = "second, changed";
        if way == Way::Return {
            return Ok(first.0.len());
        }
        let n = way.fail()?;
        assert!(way != Way::Panic, "asked for");
        log("end of body");
        Ok(n + third.0.len())
    }

    // Nothing in the body mentions them.
    pub(crate) fn unmentioned(way: Way, _first: Told, _: Told, _third: Told) -> Result<usize, Bad> {
        let _local = Told("local");
        if way == Way::Return {
            return Ok(0);
        }
        let n = way.fail()?;
        assert!(way != Way::Panic, "asked for");
        log("end of body");
        Ok(n)
    }

    pub(crate) fn patterns(
        way: Way,
        (a, _): (Told, Told),
        Pair { left, .. }: Pair,
        _: Told,
        [x, .., z]: [Told; 3],
        Told(ref name): Told,
    ) -> Result<usize, Bad> {
        let _local = Told("local");
        drop(left);
        if way == Way::Return {
            return Ok(name.len());
        }
        let n = way.fail()?;
        assert!(way != Way::Panic, "asked for");
        log("end of body");
        drop((a, x));
        Ok(n + z.0.len())
    }

    pub(crate) fn moved(way: Way, first: Told, second: Told) -> Result<usize, Bad> {
        let moved = first;
        if way == Way::Return {
            drop(second);
            return Ok(0);
        }
        let both = (second, moved);
        let n = way.fail()?;
        assert!(way != Way::Panic, "asked for");
        log("end of body");
        Ok(n + both.0.0.len())
    }

    pub(crate) fn tail_temporary(way: Way, first: Told) -> Result<usize, Bad> {
        let _local = Told("local");
        if way == Way::Return {
            return Told("temporary").ok();
        }
        way.fail()?;
        assert!(way != Way::Panic, "asked for");
        Told(first.0).ok()
    }

    #[track_caller]
    pub(crate) fn in_place(way: Way, first: Told, (a, _): (Told, Told), _: Told) -> Result<usize, Bad> {
        let _local = Told("local");
        if way == Way::Return {
            return Told("temporary").ok();
        }
        if way == Way::Question {
            return Err(Bad);
        }
        assert!(way != Way::Panic, "asked for");
        log("end of body");
        drop(a);
        Told(first.0).ok()
    }

    pub(crate) async fn later(way: Way, first: Told, (a, _): (Told, Told), _: Told) -> Result<usize, Bad> {
        let _local = Told("local");
        tokio::task::yield_now().await;
        if way == Way::Return {
            return Ok(first.0.len());
        }
        let n = way.fail()?;
        assert!(way != Way::Panic, "asked for");
        log("end of body");
        drop(a);
        Told("temporary").ok().map(|m| n + m)
    }
}

fn told(name: &'static str) -> Told {
    Told(name)
}

/// Runs one twin for each way its body can be left, and gives what was logged.
fn run(
    f: impl Fn(Way) -> Result<usize, Bad> + std::panic::RefUnwindSafe,
) -> Vec<Vec<&'static str>> {
    Way::ALL
        .map(|way| {
            let panics = catch_unwind(|| {
                let result = f(way);
                log("returned");
                assert_eq!(result.is_err(), way == Way::Question);
            });
            assert_eq!(panics.is_err(), way == Way::Panic);
            take_log()
        })
        .to_vec()
}

/// Asserts that both twins drop alike, and that four calls of the audited one are on record.
macro_rules! alike {
    ($name:ident($($argument:expr),*)) => {{
        let bare = run(|way| bare::$name(way, $($argument),*));
        let unrecorded = run(|way| annotated::$name(way, $($argument),*));
        let mut recorded = Vec::new();
        let records = testing::capture(|| recorded = run(|way| annotated::$name(way, $($argument),*)));
        assert_eq!(recorded, bare, "on record");
        assert_eq!(unrecorded, bare, "not on record");
        outcomes(&records);
        bare
    }};
}

fn outcomes(records: &[audited::Record]) {
    let outcomes: Vec<_> = records.iter().map(|record| record.outcome.as_str()).collect();
    assert_eq!(outcomes, ["success", "success", "failure", "panic"]);
}

#[test]
fn n19_arguments_are_dropped_in_the_order_of_the_bare_function() {
    let log = alike!(in_order(told("first"), told("second"), told("third")));
    let end = ["end of body", "local", "third", "second, changed", "first", "returned"];
    assert_eq!(log[0], end);
    alike!(moved(told("first"), told("second")));
    alike!(tail_temporary(told("first")));
    alike!(in_place(told("first"), (told("a"), told("b")), told("unbound")));
}

#[test]
fn n18_what_is_bound_to_nothing_lives_to_the_end() {
    let log = alike!(unmentioned(told("first"), told("unbound"), told("third")));
    assert_eq!(log[0], ["end of body", "local", "third", "unbound", "first", "returned"]);
    alike!(patterns(
        (told("a"), told("b")),
        Pair { left: told("left"), right: told("right") },
        told("unbound"),
        [told("x"), told("y"), told("z")],
        told("named")
    ));
}

#[test]
fn n19_async_arguments_are_dropped_in_the_order_of_the_bare_function() {
    let bare = |way| block_on(bare::later(way, told("1"), (told("a"), told("b")), told("3")));
    let audited =
        |way| block_on(annotated::later(way, told("1"), (told("a"), told("b")), told("3")));
    let bare = run(bare);
    assert_eq!(run(audited), bare, "not on record");
    let mut recorded = Vec::new();
    outcomes(&testing::capture(|| recorded = run(audited)));
    assert_eq!(recorded, bare, "on record");
}

#[test]
fn n19_a_dropped_future_drops_its_arguments_in_the_order_of_the_bare_function() {
    fn dropped_after(polls: usize, future: impl std::future::Future) -> Vec<&'static str> {
        let mut future = Box::pin(future);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..polls {
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
        log("dropping");
        drop(future);
        take_log()
    }

    for polls in [0, 1] {
        // A runtime's `yield_now` wakes at once outside of it, too.
        let bare = dropped_after(
            polls,
            bare::later(Way::End, told("1"), (told("a"), told("b")), told("3")),
        );
        let mut recorded = Vec::new();
        let records = testing::capture(|| {
            recorded = dropped_after(
                polls,
                annotated::later(Way::End, told("1"), (told("a"), told("b")), told("3")),
            );
        });
        assert_eq!(recorded, bare, "dropped after {polls} polls");
        let outcomes: Vec<_> = records.iter().map(|record| record.outcome.as_str()).collect();
        assert_eq!(outcomes, vec!["cancelled"; polls]);
    }
}
