//! Shapes 18 and 19: which values are dropped, and when. Each function has a twin without the
//! attribute; both must drop in the same order.

#![deny(warnings, unsafe_op_in_unsafe_fn, unused_mut, clippy::all, clippy::pedantic)]
// These lints object to the shapes under test, which are intentional.
#![allow(clippy::needless_pass_by_value, clippy::needless_borrow)]

use std::cell::RefCell;
use std::panic::catch_unwind;

use audited::testing;
use serde::Serialize;

use crate::summary::{Bad, block_on};

thread_local! {
    static LOG: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

fn log(what: &'static str) {
    LOG.with_borrow_mut(|log| log.push(what));
}

/// Returns the names of the values that this thread has dropped, and clears the log.
pub(crate) fn take_log() -> Vec<&'static str> {
    LOG.take()
}

/// Logs its name when it is dropped.
#[derive(Serialize)]
pub(crate) struct Logged(pub(crate) &'static str);

impl Logged {
    fn ok(&self) -> Result<usize, Bad> {
        if self.0.is_empty() { Err(Bad) } else { Ok(self.0.len()) }
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        log(self.0);
    }
}

struct Pair {
    left: Logged,
    #[expect(dead_code, reason = "the value is only dropped")]
    right: Logged,
}

/// How a body exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    End,
    Return,
    QuestionMark,
    Panic,
}

impl Exit {
    const ALL: [Self; 4] = [Self::End, Self::Return, Self::QuestionMark, Self::Panic];

    fn fail(self) -> Result<usize, Bad> {
        if self == Self::QuestionMark { Err(Bad) } else { Ok(1) }
    }
}

/// Defines the same functions twice: with the attribute in `annotated`, without it in `bare`.
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
    pub(crate) fn in_order(exit: Exit, first: Logged, mut second: Logged, third: Logged) -> Result<usize, Bad> {
        let _local = Logged("local");
        second.0 = "second, changed";
        if exit == Exit::Return {
            return Ok(first.0.len());
        }
        let n = exit.fail()?;
        assert!(exit != Exit::Panic, "requested");
        log("end of body");
        Ok(n + third.0.len())
    }

    // The body mentions none of the logged parameters.
    pub(crate) fn unmentioned(exit: Exit, _first: Logged, _: Logged, _third: Logged) -> Result<usize, Bad> {
        let _local = Logged("local");
        if exit == Exit::Return {
            return Ok(0);
        }
        let n = exit.fail()?;
        assert!(exit != Exit::Panic, "requested");
        log("end of body");
        Ok(n)
    }

    pub(crate) fn patterns(
        exit: Exit,
        (a, _): (Logged, Logged),
        Pair { left, .. }: Pair,
        _: Logged,
        [x, .., z]: [Logged; 3],
        Logged(ref name): Logged,
    ) -> Result<usize, Bad> {
        let _local = Logged("local");
        drop(left);
        if exit == Exit::Return {
            return Ok(name.len());
        }
        let n = exit.fail()?;
        assert!(exit != Exit::Panic, "requested");
        log("end of body");
        drop((a, x));
        Ok(n + z.0.len())
    }

    pub(crate) fn moved(exit: Exit, first: Logged, second: Logged) -> Result<usize, Bad> {
        let moved = first;
        if exit == Exit::Return {
            drop(second);
            return Ok(0);
        }
        let both = (second, moved);
        let n = exit.fail()?;
        assert!(exit != Exit::Panic, "requested");
        log("end of body");
        Ok(n + both.0.0.len())
    }

    pub(crate) fn tail_temporary(exit: Exit, first: Logged) -> Result<usize, Bad> {
        let _local = Logged("local");
        if exit == Exit::Return {
            return Logged("temporary").ok();
        }
        exit.fail()?;
        assert!(exit != Exit::Panic, "requested");
        Logged(first.0).ok()
    }

    #[track_caller]
    pub(crate) fn in_place(exit: Exit, first: Logged, (a, _): (Logged, Logged), _: Logged) -> Result<usize, Bad> {
        let _local = Logged("local");
        if exit == Exit::Return {
            return Logged("temporary").ok();
        }
        if exit == Exit::QuestionMark {
            return Err(Bad);
        }
        assert!(exit != Exit::Panic, "requested");
        log("end of body");
        drop(a);
        Logged(first.0).ok()
    }

    pub(crate) async fn later(exit: Exit, first: Logged, (a, _): (Logged, Logged), _: Logged) -> Result<usize, Bad> {
        let _local = Logged("local");
        tokio::task::yield_now().await;
        if exit == Exit::Return {
            return Ok(first.0.len());
        }
        let n = exit.fail()?;
        assert!(exit != Exit::Panic, "requested");
        log("end of body");
        drop(a);
        Logged("temporary").ok().map(|m| n + m)
    }
}

/// Runs one twin for each exit of its body, and returns the drop logs.
fn run_each_exit(
    f: impl Fn(Exit) -> Result<usize, Bad> + std::panic::RefUnwindSafe,
) -> Vec<Vec<&'static str>> {
    Exit::ALL
        .map(|exit| {
            let panics = catch_unwind(|| {
                let result = f(exit);
                log("returned");
                assert_eq!(result.is_err(), exit == Exit::QuestionMark);
            });
            assert_eq!(panics.is_err(), exit == Exit::Panic);
            take_log()
        })
        .to_vec()
}

/// Asserts that both twins drop in the same order, and that the audited one records four calls.
macro_rules! assert_same_drop_order {
    ($name:ident($($argument:expr),*)) => {{
        let bare = run_each_exit(|exit| bare::$name(exit, $($argument),*));
        let unrecorded = run_each_exit(|exit| annotated::$name(exit, $($argument),*));
        let mut recorded = Vec::new();
        let records = testing::capture(|| recorded = run_each_exit(|exit| annotated::$name(exit, $($argument),*)));
        assert_eq!(recorded, bare, "with a recorder");
        assert_eq!(unrecorded, bare, "without a recorder");
        assert_outcomes(&records);
        bare
    }};
}

fn assert_outcomes(records: &[audited::Record]) {
    let outcomes: Vec<_> = records.iter().map(|record| record.outcome.as_str()).collect();
    assert_eq!(outcomes, ["success", "success", "failure", "panic"]);
}

#[test]
fn n19_arguments_are_dropped_in_the_order_of_the_bare_function() {
    let log = assert_same_drop_order!(in_order(Logged("first"), Logged("second"), Logged("third")));
    let end = ["end of body", "local", "third", "second, changed", "first", "returned"];
    assert_eq!(log[0], end);
    assert_same_drop_order!(moved(Logged("first"), Logged("second")));
    assert_same_drop_order!(tail_temporary(Logged("first")));
    assert_same_drop_order!(in_place(
        Logged("first"),
        (Logged("a"), Logged("b")),
        Logged("unbound")
    ));
}

#[test]
fn n18_arguments_without_a_binding_are_dropped_after_the_body() {
    let log =
        assert_same_drop_order!(unmentioned(Logged("first"), Logged("unbound"), Logged("third")));
    assert_eq!(log[0], ["end of body", "local", "third", "unbound", "first", "returned"]);
    assert_same_drop_order!(patterns(
        (Logged("a"), Logged("b")),
        Pair { left: Logged("left"), right: Logged("right") },
        Logged("unbound"),
        [Logged("x"), Logged("y"), Logged("z")],
        Logged("named")
    ));
}

#[test]
fn n19_async_arguments_are_dropped_in_the_order_of_the_bare_function() {
    let bare =
        |exit| block_on(bare::later(exit, Logged("1"), (Logged("a"), Logged("b")), Logged("3")));
    let audited = |exit| {
        block_on(annotated::later(exit, Logged("1"), (Logged("a"), Logged("b")), Logged("3")))
    };
    let bare = run_each_exit(bare);
    assert_eq!(run_each_exit(audited), bare, "without a recorder");
    let mut recorded = Vec::new();
    assert_outcomes(&testing::capture(|| recorded = run_each_exit(audited)));
    assert_eq!(recorded, bare, "with a recorder");
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
        // Outside a runtime, `yield_now` wakes its task at once.
        let bare = dropped_after(
            polls,
            bare::later(Exit::End, Logged("1"), (Logged("a"), Logged("b")), Logged("3")),
        );
        let mut recorded = Vec::new();
        let records = testing::capture(|| {
            recorded = dropped_after(
                polls,
                annotated::later(Exit::End, Logged("1"), (Logged("a"), Logged("b")), Logged("3")),
            );
        });
        assert_eq!(recorded, bare, "dropped after {polls} polls");
        let outcomes: Vec<_> = records.iter().map(|record| record.outcome.as_str()).collect();
        assert_eq!(outcomes, vec!["cancelled"; polls]);
    }
}
