//! Audited calls.

use std::path::Path;

use audited::{Audit, AuditBuilder, Context, Durability, Error, Record, Sink, SqliteStore};
use tracing_subscriber::prelude::*;

use crate::bodies::{self, Call, Shape};
use crate::measure::{BURST, on_threads};

/// What takes the events of calls.
#[derive(Clone, Copy)]
enum Events {
    None,
    /// `audited::layer()`, alone in a subscriber of the program's.
    Layer,
    /// What `audited::init` sets where the program has none.
    Init,
}

pub(crate) fn to_sqlite(folder: &Path, shape: Shape) -> f64 {
    run(sqlite(folder), Events::Layer, bodies::recorded::call(shape), shape, BURST)
}

pub(crate) fn to_sqlite_as_init(folder: &Path, shape: Shape) -> f64 {
    run(sqlite(folder), Events::Init, bodies::recorded::call(shape), shape, BURST)
}

/// A burst of calls that wait is short: each takes as long as the disk.
pub(crate) fn process(folder: &Path, shape: Shape) -> f64 {
    waiting(folder, Durability::Process, shape)
}

pub(crate) fn power(folder: &Path, shape: Shape) -> f64 {
    waiting(folder, Durability::Power, shape)
}

fn waiting(folder: &Path, durability: Durability, shape: Shape) -> f64 {
    run(
        sqlite(folder).durability(durability),
        Events::Layer,
        bodies::recorded::call(shape),
        shape,
        WAITING,
    )
}

/// Calls of a burst that waits for the disk.
pub(crate) const WAITING: u32 = 64;

pub(crate) fn to_nothing(_: &Path, shape: Shape) -> f64 {
    run(Audit::builder().store(Null), Events::Layer, bodies::recorded::call(shape), shape, BURST)
}

pub(crate) fn without_layer(_: &Path, shape: Shape) -> f64 {
    run(Audit::builder().store(Null), Events::None, bodies::recorded::call(shape), shape, BURST)
}

pub(crate) fn switched_off(_: &Path, shape: Shape) -> f64 {
    run(Audit::builder().store(Null), Events::Layer, bodies::off(shape), shape, BURST)
}

fn sqlite(folder: &Path) -> AuditBuilder {
    Audit::builder().store(SqliteStore::open(folder.join("audit.db")).expect("a store"))
}

fn run(builder: AuditBuilder, events: Events, call: Call, shape: Shape, burst: u32) -> f64 {
    match events {
        Events::None => {}
        Events::Layer => tracing_subscriber::registry().with(audited::layer()).init(),
        Events::Init => audit_core::subscribe_if_none(),
    }
    let audit = builder.install().expect("a recorder");
    let context = Context::new().actor("alice");
    let time = on_threads(
        shape,
        burst,
        |run| context.clone().scope(run),
        call,
        || audit.flush().expect("the store takes them"),
    );
    assert_eq!(audit.counters().dropped, 0, "nothing was dropped");
    time
}

/// A store that does nothing: what is left is the caller's own cost.
struct Null;

impl Sink for Null {
    fn write(&mut self, _: &[Record]) -> Result<(), Error> {
        Ok(())
    }
}
