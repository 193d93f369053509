//! Remembers yes-or-no answers about names, for each thread.
//!
//! Only texts that live as long as the program are names here: field names and type names. Such a
//! text never moves or changes, so its address and length stand for it.

use std::cell::Cell;

/// What is asked about a name. Masks use the numbers from [`FIRST_MASK`] on.
pub(super) const IS_SECRET_TYPE: u64 = 1;
pub(super) const HAS_TYPE_HINT: u64 = 2;
pub(super) const HAS_ELEMENTS_HINT: u64 = 3;
pub(super) const IS_LEFT_OUT: u64 = 4;
pub(super) const FIRST_MASK: u64 = 5;

struct CachedDecision {
    address: Cell<usize>,
    len: Cell<usize>,
    question: Cell<u64>,
    answer: Cell<bool>,
}

/// 16 KiB for each thread.
const SLOTS: usize = 128;
const WAYS: usize = 4;

impl CachedDecision {
    const fn empty() -> Self {
        Self {
            address: Cell::new(0),
            len: Cell::new(0),
            question: Cell::new(0),
            answer: Cell::new(false),
        }
    }

    /// Compares cell by cell, so that no more is read than is compared.
    #[inline]
    fn get(&self, address: usize, len: usize, question: u64) -> Option<bool> {
        let is_this = self.address.get() == address
            && self.len.get() == len
            && self.question.get() == question;
        is_this.then(|| self.answer.get())
    }

    fn set(&self, address: usize, len: usize, question: u64, answer: bool) {
        self.address.set(address);
        self.len.set(len);
        self.question.set(question);
        self.answer.set(answer);
    }
}

thread_local! {
    /// The decisions of a slot are in the order of their last use. There are several, because names
    /// that share a slot must not displace each other at every call: a decision costs as much as
    /// the rest of a small call.
    static DECISIONS: [[CachedDecision; WAYS]; SLOTS] =
        const { [const { [const { CachedDecision::empty() }; WAYS] }; SLOTS] };
}

/// The answer of `decide` to `question` about `name`, computed once.
#[inline]
pub(super) fn cached(name: &'static str, question: u64, decide: impl FnOnce(&str) -> bool) -> bool {
    let (address, len) = (name.as_ptr() as usize, name.len());
    // Names are close together in the program, so they differ in the low bits. The multiplication
    // brings these to the top.
    let mixed = (address as u64 ^ (question << 20)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let slot = (mixed >> 57) as usize % SLOTS;
    DECISIONS.with(|decisions| {
        let decisions = &decisions[slot];
        if let Some(answer) = decisions[0].get(address, len, question) {
            return answer;
        }
        let found = decisions.iter().position(|one| one.get(address, len, question).is_some());
        let answer = match found {
            Some(position) => decisions[position].answer.get(),
            None => decide(name),
        };
        for position in (0..found.unwrap_or(WAYS - 1)).rev() {
            let one = &decisions[position];
            decisions[position + 1].set(
                one.address.get(),
                one.len.get(),
                one.question.get(),
                one.answer.get(),
            );
        }
        decisions[0].set(address, len, question, answer);
        answer
    })
}
