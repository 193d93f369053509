//! The child's side: what it does in each of its roles.

use std::io::{Read, Write};
use std::path::PathBuf;

use audited::{Audit, AuditBuilder, Durability, SqliteStore};

mod end;
mod fork;
mod inside;
mod staged;
mod worker;

/// The role of this process, if it is a child.
pub(crate) fn role() -> Option<String> {
    std::env::var("AUDITED_TEST_ROLE").ok()
}

pub(crate) fn play(role: &str) {
    match role {
        "forks" => fork::forks(),
        "forks and opens the same trail" => fork::forks_and_opens_the_same_trail(),
        "forks while the store is at work" => fork::forks_while_the_store_is_at_work(),
        "forks while locked" => fork::forks_while_locked(),
        "forks while recording" => fork::forks_while_recording(),
        "drops" => inside::drops(),
        "serializes" => inside::serializes(),
        "writes" => inside::writes(),
        "thread ends" => inside::thread_ends(),
        "main ends" => inside::main_ends(),
        "main ends in order" => inside::main_ends_in_order(),
        "exits" => end::exits(),
        "aborts" => end::aborts(),
        "panics and aborts" => end::panics_and_aborts(),
        "exits while records wait" => end::exits_while_records_wait(),
        "closes in a call" => end::closes_in_a_call(),
        "waits in a call" => end::waits_in_a_call(),
        "terminates" => end::terminates(),
        "worker" => worker::work(),
        _ => panic!("there is no role `{role}`"),
    }
}

/// Where the trail is.
fn path() -> PathBuf {
    std::env::var_os("AUDITED_TEST_TRAIL").expect("the parent sets it").into()
}

/// What the parent has set `name` to.
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A recorder as the parent wants it.
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

/// The recorder of most roles.
fn begin() -> Audit {
    let store = SqliteStore::open(path()).expect("the trail opens");
    builder().store(store).install().expect("a recorder")
}

/// Tells the parent. In one write: a kill does not part the line.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())
        .and_then(|()| out.flush())
        .expect("the parent listens");
}

/// Until the parent says so, or is gone.
fn wait_for_parent() {
    let _ = std::io::stdin().read(&mut [0]);
}

/// As `kill -9` from outside.
fn die() -> ! {
    let _ = signal_hook::low_level::raise(signal_hook::consts::SIGKILL);
    unreachable!("nobody survives this")
}
