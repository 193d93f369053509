//! What stays in memory when all is stored. One test, for the recorder is that of the process, and memory is counted
//! for all of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use audited::{Audit, Context, audit_method, audited_fields};
use gate::Gate;

#[path = "support/gate.rs"]
mod gate;

/// Counts the bytes in use.
struct Counting;

static IN_USE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: all of it is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const MIB: usize = 1 << 20;

#[test]
fn what_is_over_is_freed() {
    calls_that_are_kept_for_the_next_do_not_keep_their_actions();
    a_chain_of_calls_does_not_hold_those_that_are_over();
}

fn calls_that_are_kept_for_the_next_do_not_keep_their_actions() {
    let store = Gate::shut();
    let audit = Audit::builder().store(store.clone()).install().expect("a recorder");
    // So many at once: each is to become one that is kept.
    for number in 0..32 {
        audited::execute(format!("{number} {}", "x".repeat(MIB)), "test", (), || ());
    }
    store.let_in();
    audit.flush().expect("stored");
    // When the writer has this one, it has freed those before.
    audited::execute("last", "test", (), || ());
    audit.flush().expect("stored");
    assert_eq!(store.take_records().len(), 33);
    let in_use = IN_USE.load(Ordering::Relaxed);
    assert!(in_use < 8 * MIB.cast_signed(), "{in_use} bytes in use when all is stored");
}

#[audited_fields(id; key = id)]
struct Object {
    id: String,
}

/// As of jobs that each start the next one.
fn a_chain_of_calls_does_not_hold_those_that_are_over() {
    let store = Gate::open();
    let audit = Audit::builder().store(store.clone()).build().expect("a recorder");
    #[audit_method(skip(next))]
    fn watches(object: &mut Object, next: &mut Context) {
        object.id.push('.');
        *next = Context::current();
    }
    let mut next = Context::new().recorder(&audit);
    let before = IN_USE.load(Ordering::Relaxed);
    for number in 0..2_000 {
        let context = std::mem::take(&mut next);
        context.scope(|| {
            audited::execute("job", "test", "x".repeat(10_000), || next = Context::current());
        });
        let context = next.clone();
        context.scope(|| {
            let mut object = Object { id: format!("{number:01000}") };
            watches(&mut object, &mut next);
        });
        if number % 100 == 0 {
            audit.flush().expect("stored");
            store.take_records();
        }
    }
    audit.flush().expect("stored");
    store.take_records();
    let kept = IN_USE.load(Ordering::Relaxed) - before;
    assert!(kept < MIB.cast_signed(), "{kept} bytes in use by one context");
}
