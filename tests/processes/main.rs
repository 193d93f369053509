//! What the trail holds when a process dies, forks, or ends in an unusual way.
//!
//! This program contains both the tests and the children that they start. A child reads its role
//! from the environment.
//!
//! `AUDITED_KILLS=10000` makes a long run of the kill tests, and `AUDITED_SEED=…` repeats one.
//! `AUDITED_CHILD=…` names another program for the children, for example this one built by
//! `cargo rustc -p audited --test processes -- -C panic=abort`.

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod exits;
#[cfg(unix)]
mod forks;
#[cfg(unix)]
mod kills;
#[cfg(unix)]
mod parent;
#[cfg(unix)]
mod runner;
#[cfg(unix)]
mod trail;
#[cfg(unix)]
mod unusual_places;

/// The durabilities that a caller can choose.
#[cfg(unix)]
const DURABILITIES: [&str; 3] = ["queued", "process", "power"];

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    if let Some(role) = child::role() {
        child::run(&role);
        return std::process::ExitCode::SUCCESS;
    }
    let mut tests = Vec::new();
    tests.extend_from_slice(forks::TESTS);
    tests.extend_from_slice(unusual_places::TESTS);
    tests.extend_from_slice(exits::TESTS);
    tests.extend_from_slice(kills::TESTS);
    runner::run(&tests)
}
