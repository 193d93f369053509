//! The calls whose instructions are counted.

use std::hint::black_box;
use std::sync::{Mutex, mpsc};

use audited::store::Store;
use audited::{Audit, Context, Error, Record, audit_method};

use crate::common::recording::{Events, NullStore};

/// The name of a case in the stored file, and a function that makes the given number of calls. The
/// queue must hold all of them.
pub(crate) type Case = (&'static str, fn(u64));

/// All cases in the order of the file.
pub(crate) const CASES: &[Case] = &[
    ("bare function", |calls| times(calls, bare)),
    ("#[instrument(ret, err)], no subscriber", |calls| times(calls, instrumented)),
    ("no recorder", |calls| times(calls, transfer)),
    ("switched off", |calls| recorded(calls, Events::Layer, switched_off)),
    ("no arguments, no event, no layer", |calls| recorded(calls, Events::None, tick)),
    ("no arguments, no event", |calls| recorded(calls, Events::Layer, tick)),
    ("3 arguments, no layer", |calls| recorded(calls, Events::None, transfer)),
    ("3 arguments, one event", |calls| recorded(calls, Events::Layer, transfer)),
    ("3 arguments, one event, subscriber of init", |calls| recorded(calls, Events::Init, transfer)),
    ("nested call", |calls| recorded(calls, Events::Layer, outer)),
    ("returned error", |calls| recorded(calls, Events::Layer, failing)),
    ("async", |calls| recorded(calls, Events::Layer, through_future)),
    // The callers of these wait until the writer thread wakes them, so the counts vary a little.
    ("durability process, no layer", |calls| waiting(calls, process)),
    ("on_audit_failure refuse, no layer", |calls| waiting(calls, refuse)),
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
        unreachable!("the store accepts everything: {refused}")
    }
}

impl std::fmt::Display for NoMoney {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no money")
    }
}

impl std::error::Error for NoMoney {}

/// Defines the same function with different attributes, as in `benches/call/bodies.rs`.
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
    refuse
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

fn failing(_: u64, to: u64, purpose: &str) -> Result<Receipt, NoMoney> {
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

/// Calls before the counted ones. There are at least as many, so that the counted calls find
/// reusable memory, as in a program that has run for a while.
const WARM_UP: u64 = 3_000;

type Call = fn(u64, u64, &str) -> Result<Receipt, NoMoney>;

fn times(calls: u64, call: Call) {
    for number in 0..calls {
        black_box(call(black_box(1_000 + number), black_box(7), black_box("invoice 4711"))).ok();
    }
}

/// Makes calls with an actor that are queued for a store that discards them.
fn recorded(calls: u64, events: Events, call: Call) {
    events.subscribe();
    let (arrived, arrivals) = mpsc::channel();
    let audit = Audit::builder().store(GatedStore { arrived }).install().expect("a recorder");
    Context::new().actor("alice").scope(|| {
        for calls in [WARM_UP, calls] {
            // The writer thread must not run during the calls, because its effect on them varies.
            let closed = GATE.lock().expect("nothing panics");
            while arrivals.try_recv().is_ok() {}
            audited::execute("hold the writer", "instructions", (), || ());
            arrivals.recv().expect("the writer thread arrives at the gate");
            times(calls, call);
            drop(closed);
            audit.flush().expect("the store accepts everything");
        }
    });
    assert_eq!(audit.counters().dropped, 0, "nothing was dropped");
}

/// Makes calls that wait for a store that discards their records.
fn waiting(calls: u64, call: Call) {
    let audit = Audit::builder().store(NullStore).install().expect("a recorder");
    Context::new().actor("alice").scope(|| times(WARM_UP / 10 + calls, call));
    assert_eq!(audit.counters().dropped, 0, "nothing was dropped");
}

static GATE: Mutex<()> = Mutex::new(());

/// A store that discards everything, but blocks the writer thread while the gate is locked.
struct GatedStore {
    arrived: mpsc::Sender<()>,
}

impl Store for GatedStore {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        self.arrived.send(()).ok();
        drop(GATE.lock());
        Ok(())
    }
}
