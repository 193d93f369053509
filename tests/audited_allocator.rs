//! The program's global allocator is itself audited. The recorder allocates, so it could recurse.

use std::alloc::{GlobalAlloc, Layout, System};

use audited::{Audit, Context, audit_method};
use support::MemoryStore;

mod support;

struct AuditedAllocator;

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for AuditedAllocator {
    #[audit_method(action = "alloc")]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    #[audit_method(action = "dealloc")]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract of `GlobalAlloc`.
        unsafe { System.dealloc(pointer, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: AuditedAllocator = AuditedAllocator;

#[test]
fn an_audited_allocator_does_not_recurse_and_is_recorded() {
    let kept = MemoryStore::default();
    let audit = Audit::builder().store(kept.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| drop(std::hint::black_box(vec![1_u8; 100])));
    audit.flush().expect("the store accepts everything");
    let actions = kept.actions();
    assert!(actions.iter().any(|action| action == "alloc"), "{actions:?}");
    assert!(actions.iter().any(|action| action == "dealloc"), "{actions:?}");
}
