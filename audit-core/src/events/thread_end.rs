//! Whether the locals of this thread are being destroyed.

use std::cell::Cell;

/// How far this thread is with its locals.
#[derive(Clone, Copy, PartialEq)]
enum Locals {
    Untouched,
    InUse,
    Ending,
}

/// Its destructor tells that the registry's locals are next: a span made after them would abort the process.
struct Sentinel;

impl Drop for Sentinel {
    fn drop(&mut self) {
        LOCALS.set(Locals::Ending);
    }
}

thread_local! {
    static LOCALS: Cell<Locals> = const { Cell::new(Locals::Untouched) };
    static SENTINEL: Sentinel = const { Sentinel };
}

/// Whether the locals of this thread are being destroyed: a destructor may call an audited function.
pub(crate) fn is_ending() -> bool {
    LOCALS.get() == Locals::Ending
}

/// After the first span of this thread. Locals are destroyed in the reverse order of their first use, so the
/// sentinel goes before those that the registry has used for that span.
pub(crate) fn stay_behind() {
    if LOCALS.get() == Locals::Untouched && SENTINEL.try_with(|_| ()).is_ok() {
        LOCALS.set(Locals::InUse);
    }
}
