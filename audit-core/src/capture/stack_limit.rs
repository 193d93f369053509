//! [`StackLimit`]: ends formatting that recurses too deeply.
//!
//! `Debug` and `Display` have no limit of depth: a list of 50,000 nodes, each formatted by the one
//! before, overflows the stack, and that ends the process. We see nothing of the recursion except
//! the texts that are written at each level. There, the stack that is in use is measured.

use std::fmt;
use std::hint::black_box;
use std::panic::resume_unwind;

/// How much stack formatting may use, in bytes. A level of a derived `Debug` takes about 500 bytes,
/// so more than 32 levels fit. The smallest stacks in use have 128 KiB.
const MAX_STACK: usize = 48 * 1024;

/// Formatting that ignores errors is unwound beyond this, as if it had panicked: the alternative is
/// the end of the process. Errors come first, because unwinding poisons the locks that it meets.
const MAX_STACK_AFTER_ERROR: usize = 80 * 1024;

/// Where on the stack formatting began.
#[derive(Clone, Copy)]
pub(crate) struct StackLimit {
    start: usize,
}

impl StackLimit {
    /// Formatting begins here.
    #[inline]
    pub(crate) fn start() -> Self {
        Self { start: stack_address() }
    }

    /// # Errors
    ///
    /// If formatting uses too much stack.
    #[inline]
    pub(crate) fn check(self) -> fmt::Result {
        match self.start.abs_diff(stack_address()) {
            ..=MAX_STACK => Ok(()),
            used => Err(stop(used)),
        }
    }
}

/// The address of a local.
#[inline]
fn stack_address() -> usize {
    let local = 0_u8;
    black_box(std::ptr::from_ref(&local)).addr()
}

#[cold]
fn stop(used: usize) -> fmt::Error {
    if used > MAX_STACK_AFTER_ERROR && cfg!(panic = "unwind") {
        // Without the panic hook, which would print a message.
        resume_unwind(Box::new("formatting is nested too deeply"));
    }
    fmt::Error
}
