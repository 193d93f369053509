//! What is on the record when a process dies, forks, or ends in an unusual way.
//!
//! This program is both the tests and the children that they start: a child is told its role by the environment.
//! `AUDITED_KILLS=10000` makes a long run of the kills, `AUDITED_SEED=…` repeats one. `AUDITED_CHILD=…` names another
//! program for the children: this one built otherwise, by `cargo rustc -p audited --test processes -- -C panic=abort`
//! for one.

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod ends;
#[cfg(unix)]
mod forks;
#[cfg(unix)]
mod insides;
#[cfg(unix)]
mod kills;
#[cfg(unix)]
mod parent;
#[cfg(unix)]
mod runner;
#[cfg(unix)]
mod trail;

/// What a caller may wait for.
#[cfg(unix)]
const LEVELS: [&str; 3] = ["queued", "process", "power"];

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    if let Some(role) = child::role() {
        child::play(&role);
        return std::process::ExitCode::SUCCESS;
    }
    let mut tests = Vec::new();
    tests.extend_from_slice(forks::TESTS);
    tests.extend_from_slice(insides::TESTS);
    tests.extend_from_slice(ends::TESTS);
    tests.extend_from_slice(kills::TESTS);
    runner::run(&tests)
}
