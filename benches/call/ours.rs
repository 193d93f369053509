//! The contenders with `#[audit_method]`.

use std::path::Path;

use audited::{Audit, AuditBuilder, Context, Durability, SqliteStore};

use crate::bodies::{self, Call, Shape};
use crate::common::recording::{Events, NullStore};
use crate::measure::{BURST, on_threads};

pub(crate) fn to_sqlite(folder: &Path, shape: Shape) -> f64 {
    run(sqlite(folder), Events::Layer, bodies::with_audit_method::call(shape), shape, BURST)
}

pub(crate) fn to_sqlite_as_init(folder: &Path, shape: Shape) -> f64 {
    run(sqlite(folder), Events::Init, bodies::with_audit_method::call(shape), shape, BURST)
}

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
        bodies::with_audit_method::call(shape),
        shape,
        WAITING_BURST,
    )
}

/// Calls per burst if each call waits for the disk.
pub(crate) const WAITING_BURST: u32 = 64;

pub(crate) fn to_null_store(_: &Path, shape: Shape) -> f64 {
    run(
        Audit::builder().store(NullStore),
        Events::Layer,
        bodies::with_audit_method::call(shape),
        shape,
        BURST,
    )
}

pub(crate) fn without_layer(_: &Path, shape: Shape) -> f64 {
    run(
        Audit::builder().store(NullStore),
        Events::None,
        bodies::with_audit_method::call(shape),
        shape,
        BURST,
    )
}

pub(crate) fn switched_off(_: &Path, shape: Shape) -> f64 {
    run(
        Audit::builder().store(NullStore),
        Events::Layer,
        bodies::switched_off_call(shape),
        shape,
        BURST,
    )
}

fn sqlite(folder: &Path) -> AuditBuilder {
    Audit::builder().store(SqliteStore::open(folder.join("audit.db")).expect("a store"))
}

fn run(builder: AuditBuilder, events: Events, call: Call, shape: Shape, burst: u32) -> f64 {
    events.subscribe();
    let audit = builder.install().expect("a recorder");
    let context = Context::new().actor("alice");
    let time = on_threads(
        shape,
        burst,
        |run| context.clone().scope(run),
        call,
        || audit.flush().expect("the store accepts the records"),
    );
    assert_eq!(audit.counters().dropped, 0, "nothing was dropped");
    time
}
