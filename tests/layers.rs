//! `audited::layer()`: its thresholds and limits, and how it works beside other layers and filters.

use std::process::Command;
use std::sync::{Arc, Mutex};

use audited::{Audit, Context, LevelFilter, audit_method, testing};
use serde_json::json;
use tracing::subscriber::with_default;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::prelude::*;

mod support;

#[audit_method(action = "log at all levels")]
fn log_at_all_levels() {
    tracing::error!("an error");
    tracing::warn!("a warning");
    tracing::info!(amount = 5, who = "alice", ok = true, ratio = f64::NAN, "an info");
    tracing::debug!("a debug");
    tracing::trace!("a trace");
}

#[audit_method(action = "log a trace", log = "trace")]
fn log_a_trace() {
    tracing::trace!(target: "elsewhere", "a trace");
}

#[audit_method(action = "log nothing", log = "off")]
fn log_nothing() {
    tracing::error!("an error");
}

fn messages(record: &audited::Record) -> Vec<&str> {
    record.log.iter().map(|entry| entry.message.as_str()).collect()
}

#[test]
fn the_threshold_is_info_unless_the_action_sets_another() {
    let records = testing::capture(|| {
        log_at_all_levels();
        log_a_trace();
        log_nothing();
    });
    assert_eq!(messages(&records[0]), ["an error", "a warning", "an info"]);
    assert_eq!(records[0].log[0].level, "ERROR");
    assert_eq!(records[0].log[2].level, "INFO");
    assert_eq!(records[0].log[2].target, "layers");
    assert_eq!(
        *records[0].log[2].fields.as_ref().expect("fields"),
        json!({"amount": 5, "who": "alice", "ok": true, "ratio": "NaN"}),
    );
    assert!(records[0].log.is_sorted_by_key(|entry| entry.time));
    assert_eq!(messages(&records[1]), ["a trace"]);
    assert_eq!(records[1].log[0].target, "elsewhere");
    assert_eq!(messages(&records[2]), [""; 0]);
}

#[test]
fn secrets_are_masked_in_events_by_name() {
    #[audit_method(action = "log a secret")]
    fn log_a_secret() {
        tracing::info!(password = "hunter2", api_key = ?Some("k"), user = "alice", "login");
    }
    let records = testing::capture(log_a_secret);
    assert_eq!(
        *records[0].log[0].fields.as_ref().expect("fields"),
        json!({"password": "[redacted]", "api_key": "[redacted]", "user": "alice"}),
    );
}

#[test]
fn events_in_a_span_created_by_a_call_belong_to_the_call_on_any_thread() {
    #[audit_method(action = "spawn")]
    fn spawn_work() {
        let work = tracing::info_span!("work");
        let deeper = work.in_scope(|| tracing::info_span!("deeper"));
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let in_thread = || {
            tracing::dispatcher::with_default(&dispatch, || {
                work.in_scope(|| tracing::info!("in its work"));
                deeper.in_scope(|| {
                    tracing::info_span!("deepest").in_scope(|| tracing::info!("deepest"));
                });
                tracing::info!("to none");
                tracing::info_span!("outside").in_scope(|| tracing::info!("to none"));
            });
        };
        std::thread::scope(|threads| threads.spawn(in_thread).join().expect("no panic"));
    }
    let subscriber = tracing_subscriber::registry().with(audited::layer());
    let records = with_default(subscriber, || testing::capture(spawn_work));
    assert_eq!(messages(&records[0]), ["in its work", "deepest"]);
}

#[test]
fn an_event_belongs_to_the_innermost_call() {
    #[audit_method(action = "outer")]
    fn outer() {
        tracing::info!("outer before");
        inner();
        tracing::info_span!("a span of the user").in_scope(|| tracing::info!("outer after"));
        tracing::info!(parent: None, "belongs to no span");
    }
    #[audit_method(action = "inner")]
    fn inner() {
        tracing::info!("inner");
    }
    let records = testing::capture(outer);
    assert_eq!((&*records[0].action, messages(&records[0])), ("inner", vec!["inner"]));
    assert_eq!(messages(&records[1]), ["outer before", "outer after"]);
}

/// Collects the output of a formatting layer.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the lock is not poisoned").write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("the lock is not poisoned").clone()).expect("text")
    }
}

#[test]
fn layers_with_their_own_filters_do_not_affect_each_other() {
    let written = Written::default();
    let out = written.clone();
    let fmt = tracing_subscriber::fmt::layer()
        .with_writer(move || out.clone())
        .with_ansi(false)
        .with_filter(EnvFilter::new("layers=warn"));
    let subscriber = tracing_subscriber::registry().with(fmt).with(audited::layer());
    let records = with_default(subscriber, || testing::capture(log_at_all_levels));
    assert_eq!(messages(&records[0]), ["an error", "a warning", "an info"]);
    let text = written.text();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("a warning") && !text.contains("an info"), "{text}");
}

#[test]
fn a_global_filter_that_admits_the_spans_of_calls_only_removes_events() {
    let subscriber =
        tracing_subscriber::registry().with(EnvFilter::new("warn")).with(audited::layer());
    let records = with_default(subscriber, || testing::capture(log_at_all_levels));
    assert_eq!(messages(&records[0]), ["an error", "a warning"]);
}

#[test]
fn without_the_layer_no_span_is_created() {
    let written = Written::default();
    let out = written.clone();
    let plain = tracing_subscriber::fmt()
        .with_writer(move || out.clone())
        .with_ansi(false)
        .without_time()
        .finish();
    let audit =
        Audit::builder().store(support::MemoryStore::default()).build().expect("a recorder");
    with_default(plain, || Context::new().recorder(&audit).scope(log_at_all_levels));
    assert!(written.text().starts_with("ERROR layers: an error\n"), "{}", written.text());
}

#[test]
fn a_full_log_keeps_its_beginning_and_its_end() {
    #[audit_method(action = "flood the log")]
    fn flood_the_log() {
        for line in 0..1_000 {
            tracing::info!(line, "0123456789");
        }
    }
    let kept = support::MemoryStore::default();
    let audit = Audit::builder().store(kept.clone()).log_bytes(1_000).build().expect("a recorder");
    let subscriber = tracing_subscriber::registry().with(audited::layer());
    with_default(subscriber, || Context::new().recorder(&audit).scope(flood_the_log));
    audit.flush().expect("the store accepts every record");
    let records = kept.records();
    let log = &records[0].log;
    // Each event counts as 64 bytes, and its texts: `layers`, the message, and `{"line":0}`.
    let line = |entry: &audited::record::LogEntry| {
        let fields = entry.fields.as_ref().expect("fields").to_value();
        fields["line"].as_u64().expect("a number")
    };
    let (head, mark, tail) = (&log[..5], &log[5], &log[6..]);
    assert_eq!(head.iter().map(line).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!((&*mark.target, &*mark.message), ("audited", "… [cut: 990 events]"));
    assert!(mark.time > head[4].time && mark.time <= tail[0].time);
    assert_eq!(tail.iter().map(line).collect::<Vec<_>>(), [995, 996, 997, 998, 999]);
    let cut = &records[0].truncated[0];
    assert_eq!((cut.path.as_str(), cut.kept, cut.was), ("log", 10, Some(1_000)));
}

#[test]
fn the_threshold_of_the_recorder_applies_where_the_action_sets_none() {
    let kept = support::MemoryStore::default();
    let audit =
        Audit::builder().store(kept.clone()).log(LevelFilter::ERROR).build().expect("a recorder");
    let subscriber = tracing_subscriber::registry().with(audited::layer());
    with_default(subscriber, || Context::new().recorder(&audit).scope(log_at_all_levels));
    audit.flush().expect("the store accepts every record");
    assert_eq!(messages(&kept.records()[0]), ["an error"]);
}

#[test]
fn events_emitted_while_a_field_is_formatted_are_not_in_the_log() {
    struct Chatty;
    impl std::fmt::Debug for Chatty {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            tracing::info!("from within Debug");
            f.write_str("Chatty")
        }
    }
    #[audit_method(action = "log a value")]
    fn log_a_value(value: Chatty) {
        tracing::info!(?value, "here");
    }
    let records = testing::capture(|| log_a_value(Chatty));
    assert_eq!(*records[0].input.as_ref().expect("input"), json!({"value": "Chatty"}));
    assert_eq!(messages(&records[0]), ["here"]);
}

/// Does nothing unless the test below runs it in a child process. The warning is written once per
/// process.
#[test]
fn child_with_a_filter_that_silences_calls() {
    if std::env::var_os("AUDITED_TEST_CHILD").is_none() {
        return;
    }
    let subscriber = tracing_subscriber::registry()
        .with(EnvFilter::new("my_program=info"))
        .with(audited::layer());
    let records = tracing::subscriber::with_default(subscriber, || {
        testing::capture(|| {
            log_at_all_levels();
            log_at_all_levels();
        })
    });
    assert_eq!(records.len(), 2, "the calls are recorded without their logs");
    assert!(records.iter().all(|record| record.log.is_empty()));
}

#[test]
fn a_filter_that_silences_calls_is_reported_once_on_standard_error() {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "child_with_a_filter_that_silences_calls", "--nocapture"])
        .env("AUDITED_TEST_CHILD", "1")
        .output()
        .expect("the child runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr.matches("disables the target `audited`").count(), 1, "{stderr}");
    assert!(stderr.contains("see the documentation of `audited::layer`"), "{stderr}");
}
