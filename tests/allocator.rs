//! The hardest place of all: the program's allocator is audited itself.

use std::alloc::{GlobalAlloc, Layout, System};

use audited::{Audit, Context, audit_method};
use support::Kept;

mod support;

struct Counting;

// SAFETY: all is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    #[audit_method(action = "alloc")]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    #[audit_method(action = "dealloc")]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_audited_allocator_ends() {
    let kept = Kept::default();
    let audit = Audit::builder().store(kept.clone()).build().expect("a recorder");
    Context::new().recorder(&audit).scope(|| drop(std::hint::black_box(vec![1_u8; 100])));
    audit.flush().expect("takes all");
    let actions = kept.actions();
    assert!(actions.iter().any(|action| action == "alloc"), "{actions:?}");
    assert!(actions.iter().any(|action| action == "dealloc"), "{actions:?}");
}
