//! Memory that remains in use after all records are stored.
//!
//! A test binary with one test: the recorder is installed for the process, and allocations are
//! counted for the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use audited::{Audit, Context, audit_method, audited_fields};
use gate::GatedStore;

#[path = "support/gate.rs"]
mod gate;

/// An allocator that counts the bytes in use.
struct CountingAllocator;

static IN_USE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: the caller upholds the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: the caller upholds the contract of `GlobalAlloc`.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const MIB: usize = 1 << 20;

#[test]
fn memory_of_ended_calls_is_released() {
    pooled_calls_do_not_keep_their_actions();
    a_chain_of_calls_does_not_keep_ended_calls();
}

fn pooled_calls_do_not_keep_their_actions() {
    let store = GatedStore::blocked();
    let audit = Audit::builder().store(store.clone()).install().expect("a recorder");
    // All are in flight at the same time, so each of them is returned to the pool.
    for number in 0..32 {
        audited::execute(format!("{number} {}", "x".repeat(MIB)), "test", (), || ());
    }
    store.unblock();
    audit.flush().expect("stored");
    // When the writer thread takes this record, it has released the earlier ones.
    audited::execute("last", "test", (), || ());
    audit.flush().expect("stored");
    assert_eq!(store.take_records().len(), 33);
    let in_use = IN_USE.load(Ordering::Relaxed);
    assert!(in_use < 8 * MIB.cast_signed(), "{in_use} bytes in use after all records are stored");
}

#[audited_fields(id; key = id)]
struct Object {
    id: String,
}

/// Models jobs that each start the next one.
fn a_chain_of_calls_does_not_keep_ended_calls() {
    let store = GatedStore::accepting();
    let audit = Audit::builder().store(store.clone()).build().expect("a recorder");
    #[audit_method(skip(next))]
    fn change_object(object: &mut Object, next: &mut Context) {
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
            change_object(&mut object, &mut next);
        });
        if number % 100 == 0 {
            audit.flush().expect("stored");
            store.take_records();
        }
    }
    audit.flush().expect("stored");
    store.take_records();
    let kept = IN_USE.load(Ordering::Relaxed) - before;
    assert!(kept < MIB.cast_signed(), "{kept} bytes kept by one context");
}
