//! The calls whose instructions are counted.

use std::hint::black_box;
use std::sync::{Mutex, mpsc};

use audited::{Audit, Batch, Context, Error, Record, Sink, audit_method};
use tracing_subscriber::prelude::*;

/// A call under one set of circumstances.
pub(crate) struct Case {
    /// Its name in the file.
    pub(crate) name: &'static str,
    /// Makes so many calls; no more than the queue holds.
    pub(crate) run: fn(u64),
}

/// In the order of the file.
pub(crate) const CASES: &[Case] = &[
    Case { name: "bare function", run: |calls| times(calls, bare) },
    Case {
        name: "#[instrument(ret, err)], no subscriber",
        run: |calls| times(calls, instrumented),
    },
    Case { name: "no recorder", run: |calls| times(calls, transfer) },
    Case { name: "switched off", run: |calls| recorded(calls, Events::Layer, switched_off) },
    Case {
        name: "no arguments, no event, no layer",
        run: |calls| recorded(calls, Events::None, tick),
    },
    Case { name: "no arguments, no event", run: |calls| recorded(calls, Events::Layer, tick) },
    Case { name: "3 arguments, no layer", run: |calls| recorded(calls, Events::None, transfer) },
    Case { name: "3 arguments, one event", run: |calls| recorded(calls, Events::Layer, transfer) },
    Case {
        name: "3 arguments, one event, subscriber of init",
        run: |calls| recorded(calls, Events::Init, transfer),
    },
    Case { name: "a call within it", run: |calls| recorded(calls, Events::Layer, outer) },
    Case { name: "an error returned", run: |calls| recorded(calls, Events::Layer, refused) },
    Case { name: "async", run: |calls| recorded(calls, Events::Layer, through_future) },
    // These wait for the writer, and are woken by it: the counts vary a little.
    Case { name: "durability process, no layer", run: |calls| awaited(calls, process) },
    Case { name: "on_audit_failure refuse, no layer", run: |calls| awaited(calls, refusing) },
];

#[derive(Debug, serde::Serialize)]
struct Receipt {
    number: u64,
    balance: u64,
}

#[derive(Debug)]
struct NoMoney;

impl From<audited::Refused> for NoMoney {
    fn from(refused: audited::Refused) -> Self {
        unreachable!("the store takes all: {refused}")
    }
}

impl std::fmt::Display for NoMoney {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no money")
    }
}

impl std::error::Error for NoMoney {}

/// The same body under every attribute, as in `benches/call.rs`.
macro_rules! transfer {
    ($(#[$attr:meta])* $name:ident) => {
        $(#[$attr])*
        #[inline(never)]
        fn $name(from: u64, to: u64, purpose: &str) -> Result<Receipt, NoMoney> {
            tracing::info!(to, "booked");
            if from == to {
                return Err(NoMoney);
            }
            Ok(Receipt { number: from ^ to, balance: from + purpose.len() as u64 })
        }
    };
}

transfer!(bare);
transfer!(
    #[tracing::instrument(ret, err)]
    instrumented
);
transfer!(
    #[audit_method(action = "transfer funds")]
    transfer
);
transfer!(
    #[audit_method(action = "transfer funds (off)", capture = "none")]
    switched_off
);
transfer!(
    #[audit_method(action = "transfer funds (process)", durability = "process")]
    process
);
transfer!(
    #[audit_method(action = "transfer funds (or not)", on_audit_failure = "refuse")]
    refusing
);

#[audit_method(action = "tick")]
#[inline(never)]
fn tick_inside() {}

fn tick(_: u64, _: u64, _: &str) -> Result<Receipt, NoMoney> {
    tick_inside();
    Err(NoMoney)
}

#[audit_method(action = "transfer twice")]
#[inline(never)]
fn outer(from: u64, to: u64, purpose: &str) -> Result<Receipt, NoMoney> {
    transfer(from, to, purpose)
}

fn refused(_: u64, to: u64, purpose: &str) -> Result<Receipt, NoMoney> {
    transfer(to, to, purpose)
}

#[audit_method(action = "transfer later")]
async fn later(from: u64, to: u64, purpose: &str) -> Result<Receipt, NoMoney> {
    bare(from, to, purpose)
}

fn through_future(from: u64, to: u64, purpose: &str) -> Result<Receipt, NoMoney> {
    let future = std::pin::pin!(later(from, to, purpose));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.poll(&mut context) {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => Err(NoMoney),
    }
}

/// Calls before those that are counted, at least as many: what they have used is there to be used again, as in a
/// program that has been running for a while.
const WARM_UP: u64 = 3_000;

type Call = fn(u64, u64, &str) -> Result<Receipt, NoMoney>;

fn times(calls: u64, call: Call) {
    for number in 0..calls {
        black_box(call(black_box(1_000 + number), black_box(7), black_box("invoice 4711"))).ok();
    }
}

/// What takes the events of calls.
enum Events {
    None,
    /// `audited::layer()` in a subscriber of the program's.
    Layer,
    /// What `audited::init` sets where there is none.
    Init,
}

/// Calls by an actor, queued to a store that does nothing.
fn recorded(calls: u64, events: Events, call: Call) {
    match events {
        Events::None => {}
        Events::Layer => tracing_subscriber::registry().with(audited::layer()).init(),
        Events::Init => audit_core::subscribe_if_none(),
    }
    let (begins, begun) = mpsc::channel();
    let audit = Audit::builder().store(Gate { begins }).install().expect("a recorder");
    Context::new().actor("alice").scope(|| {
        for calls in [WARM_UP, calls] {
            // The writer waits while calls are made, or it would get in their way once and not another time.
            let held = GATE.lock().expect("nobody panics");
            while begun.try_recv().is_ok() {}
            audited::execute("hold the writer", "instructions", (), || ());
            begun.recv().expect("the writer comes to the gate");
            times(calls, call);
            drop(held);
            audit.flush().expect("the store takes all");
        }
    });
    assert_eq!(audit.counters().dropped, 0, "nothing was dropped");
}

/// Calls that wait for the store, one that does nothing.
fn awaited(calls: u64, call: Call) {
    let audit = Audit::builder().store(Nothing).install().expect("a recorder");
    Context::new().actor("alice").scope(|| times(WARM_UP / 10 + calls, call));
    assert_eq!(audit.counters().dropped, 0, "nothing was dropped");
}

struct Nothing;

impl Sink for Nothing {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        Ok(())
    }

    /// Takes intents as well.
    fn write_batch(&mut self, _: &Batch<'_>) -> Result<(), Error> {
        Ok(())
    }
}

static GATE: Mutex<()> = Mutex::new(());

/// A store that does nothing, but for waiting at the gate.
struct Gate {
    begins: mpsc::Sender<()>,
}

impl Sink for Gate {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        self.begins.send(()).ok();
        drop(GATE.lock());
        Ok(())
    }
}
