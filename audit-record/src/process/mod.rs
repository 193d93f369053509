//! What a store needs to know about processes: which process a recorder belongs to, and what a dead
//! process has lost.
//!
//! For stores that keep recorder sessions ([`Store::begin`](crate::store::Store::begin)). A
//! recorder counts in a page of memory that outlives its process, so that the next start can report
//! how many records were lost. All `libc` calls of the workspace's libraries are in this module.

mod counters;
mod fork;
mod system;

pub use counters::{
    RecoveredCounters, SessionCounters, keep_counters_in, read_counters, read_saved_counters,
    remove_counters, remove_dead_counters,
};
pub use fork::{NoFork, OwnerProcess, forks, hold_off_forks, was_forked_during_work};

#[cfg(test)]
mod tests;
