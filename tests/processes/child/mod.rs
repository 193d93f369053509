//! The child's side: the roles that a child process can have.

use std::io::{Read, Write};
use std::path::PathBuf;

use audited::{Audit, AuditBuilder, Durability, SqliteStore};

mod crash_points;
mod exits;
mod forks;
mod unusual_places;
mod worker;

/// The role of this process, if it is a child.
pub(crate) fn role() -> Option<String> {
    std::env::var("AUDITED_TEST_ROLE").ok()
}

/// Does what a child in `role` does.
pub(crate) fn run(role: &str) {
    match role {
        "forks" => forks::forks(),
        "forks and opens the same trail" => forks::forks_and_opens_the_same_trail(),
        "forks while the store writes" => forks::forks_while_the_store_writes(),
        "forks while locked" => forks::forks_while_locked(),
        "forks while recording" => forks::forks_while_recording(),
        "forks that record" => forks::forks_that_record(),
        "drops" => unusual_places::drops(),
        "serializes" => unusual_places::serializes(),
        "writes" => unusual_places::writes(),
        "thread ends" => unusual_places::thread_ends(),
        "main ends" => unusual_places::main_ends(),
        "main ends and closes" => unusual_places::main_ends_and_closes(),
        "exits" => exits::exits(),
        "aborts" => exits::aborts(),
        "panics and aborts" => exits::panics_and_aborts(),
        "exits while records wait" => exits::exits_while_records_wait(),
        "closes in a call" => exits::closes_in_a_call(),
        "waits in a call" => exits::waits_in_a_call(),
        "terminates" => exits::terminates(),
        "worker" => worker::work(),
        _ => panic!("there is no role `{role}`"),
    }
}

/// The path of the trail.
fn path() -> PathBuf {
    std::env::var_os("AUDITED_TEST_TRAIL").expect("the parent sets it").into()
}

/// The value that the parent set for `name`.
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A builder with the durability that the parent requested.
fn builder() -> AuditBuilder {
    Audit::builder().durability(durability())
}

fn durability() -> Durability {
    match setting("AUDITED_TEST_DURABILITY").as_deref() {
        None | Some("queued") => Durability::Queued,
        Some("process") => Durability::Process,
        Some("power") => Durability::Power,
        Some(other) => panic!("there is no durability `{other}`"),
    }
}

/// Whether calls do not wait for their records.
fn is_queued() -> bool {
    durability() == Durability::Queued
}

/// Opens the trail and installs a recorder.
fn install_recorder() -> Audit {
    let store = SqliteStore::open(path()).expect("the trail opens");
    builder().store(store).install().expect("a recorder")
}

/// Prints a line for the parent. It is written at once, so that a kill cannot split it.
fn print_line(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())
        .and_then(|()| out.flush())
        .expect("the parent reads");
}

/// Waits until the parent resumes this process, or has ended.
fn wait_for_parent() {
    let _ = std::io::stdin().read(&mut [0]);
}

/// Ends this process like `kill -9` does.
fn kill_this_process() -> ! {
    let _ = signal_hook::low_level::raise(signal_hook::consts::SIGKILL);
    unreachable!("no process survives SIGKILL")
}
