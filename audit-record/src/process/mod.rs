//! What a recorder leaves behind when its process dies, and in which process it is at home.
//!
//! For stores that keep sessions ([`Sink::begin`](crate::store::Sink::begin)): the recorder counts in a page of memory that
//! outlives a killed process, so that the next start can tell how many records were lost.

mod counts;
mod fork;
mod system;

pub use counts::{Counted, Counts, forget, left_behind};
pub use fork::{Home, NoFork, forks, hold_off_forks, is_parted};

#[cfg(test)]
mod tests;
