//! A filter on the whole subscriber that silences the calls' spans is told once, on standard error.

use std::process::Command;

use audited::{audit_method, testing};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::prelude::*;

#[audit_method(action = "speaks")]
fn speaks() {
    tracing::error!("an error");
}

/// Run by the test below in a process of its own.
#[test]
fn child() {
    if std::env::var_os("AUDITED_TEST_CHILD").is_none() {
        return;
    }
    let subscriber = tracing_subscriber::registry()
        .with(EnvFilter::new("my_program=info"))
        .with(audited::layer());
    let records = tracing::subscriber::with_default(subscriber, || {
        testing::capture(|| {
            speaks();
            speaks();
        })
    });
    assert_eq!(records.len(), 2, "the calls are recorded all the same");
    assert!(records.iter().all(|record| record.log.is_empty()));
}

#[test]
fn a_silenced_log_is_told_once() {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "child", "--nocapture"])
        .env("AUDITED_TEST_CHILD", "1")
        .output()
        .expect("the child runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr.matches("silences the target `audited`").count(), 1, "{stderr}");
    assert!(stderr.contains("see audited::layer"), "{stderr}");
}
