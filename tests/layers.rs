//! `audited::layer()` beside other layers and filters, the `log` crate, levels and limits.

use std::sync::{Arc, Mutex};

use audited::{Audit, Context, LevelFilter, audit_method, testing};
use serde_json::json;
use tracing::subscriber::with_default;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::prelude::*;

#[audit_method(action = "speaks")]
fn speaks() {
    tracing::error!("an error");
    tracing::warn!("a warning");
    tracing::info!(amount = 5, who = "alice", ok = true, ratio = f64::NAN, "an info");
    tracing::debug!("a debug");
    tracing::trace!("a trace");
}

#[audit_method(action = "speaks much", log = "trace")]
fn speaks_much() {
    tracing::trace!(target: "elsewhere", "a trace");
}

#[audit_method(action = "silent", log = "off")]
fn silent() {
    tracing::error!("an error");
}

fn messages(record: &audited::Record) -> Vec<&str> {
    record.log.iter().map(|entry| entry.message.as_str()).collect()
}

#[test]
fn the_threshold_is_info_unless_the_action_says_otherwise() {
    let records = testing::capture(|| {
        speaks();
        speaks_much();
        silent();
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
    #[audit_method(action = "logs a secret")]
    fn logs_a_secret() {
        tracing::info!(password = "hunter2", api_key = ?Some("k"), user = "alice", "login");
    }
    let records = testing::capture(logs_a_secret);
    assert_eq!(
        *records[0].log[0].fields.as_ref().expect("fields"),
        json!({"password": "[redacted]", "api_key": "[redacted]", "user": "alice"}),
    );
}

#[test]
fn a_span_that_is_made_in_a_call_and_carried_away_leads_to_the_call() {
    #[audit_method(action = "spawns")]
    fn spawns() {
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
    let records = with_default(subscriber, || testing::capture(spawns));
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

/// Collects what a formatting layer writes.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics").write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("nobody panics").clone()).expect("text")
    }
}

#[test]
fn other_layers_with_their_own_filters_neither_disturb_nor_are_disturbed() {
    let written = Written::default();
    let out = written.clone();
    let fmt = tracing_subscriber::fmt::layer()
        .with_writer(move || out.clone())
        .with_ansi(false)
        .with_filter(EnvFilter::new("layers=warn"));
    let subscriber = tracing_subscriber::registry().with(fmt).with(audited::layer());
    let records = with_default(subscriber, || testing::capture(speaks));
    assert_eq!(messages(&records[0]), ["an error", "a warning", "an info"]);
    let text = written.text();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("a warning") && !text.contains("an info"), "{text}");
}

#[test]
fn a_filter_on_the_whole_subscriber_that_lets_calls_pass_only_thins_the_log() {
    let subscriber =
        tracing_subscriber::registry().with(EnvFilter::new("warn")).with(audited::layer());
    let records = with_default(subscriber, || testing::capture(speaks));
    assert_eq!(messages(&records[0]), ["an error", "a warning"]);
}

#[test]
fn without_the_layer_no_span_is_made() {
    let written = Written::default();
    let out = written.clone();
    let plain = tracing_subscriber::fmt()
        .with_writer(move || out.clone())
        .with_ansi(false)
        .without_time()
        .finish();
    let audit = Audit::builder().store(support::Kept::default()).build().expect("a recorder");
    with_default(plain, || Context::new().recorder(&audit).scope(speaks));
    assert!(written.text().starts_with("ERROR layers: an error\n"), "{}", written.text());
}

#[test]
fn a_log_that_is_full_counts_what_it_leaves_out() {
    #[audit_method(action = "floods")]
    fn floods() {
        for line in 0..1_000 {
            tracing::info!(line, "0123456789");
        }
    }
    let kept = support::Kept::default();
    let audit = Audit::builder().store(kept.clone()).log_bytes(1_000).build().expect("a recorder");
    let subscriber = tracing_subscriber::registry().with(audited::layer());
    with_default(subscriber, || Context::new().recorder(&audit).scope(floods));
    audit.flush().expect("a store that takes all");
    let records = kept.records();
    let log = &records[0].log;
    assert!((5..20).contains(&log.len()), "{}", log.len());
    let cut = &records[0].truncated[0];
    assert_eq!((cut.path.as_str(), cut.kept, cut.was), ("log", log.len() as u64, Some(1_000)));
    let lines: Vec<_> =
        log.iter().map(|entry| entry.fields.as_ref().expect("fields").to_value()).collect();
    assert_eq!(lines, (0..log.len()).map(|line| json!({"line": line})).collect::<Vec<_>>());
}

#[test]
fn the_recorders_threshold_applies_where_the_action_is_silent() {
    let kept = support::Kept::default();
    let audit =
        Audit::builder().store(kept.clone()).log(LevelFilter::ERROR).build().expect("a recorder");
    let subscriber = tracing_subscriber::registry().with(audited::layer());
    with_default(subscriber, || Context::new().recorder(&audit).scope(speaks));
    audit.flush().expect("a store that takes all");
    assert_eq!(messages(&kept.records()[0]), ["an error"]);
}

#[test]
fn events_of_a_debug_that_is_being_logged_are_not_the_calls() {
    struct Chatty;
    impl std::fmt::Debug for Chatty {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            tracing::info!("from within Debug");
            f.write_str("Chatty")
        }
    }
    #[audit_method(action = "logs a value")]
    fn logs_a_value(value: Chatty) {
        tracing::info!(?value, "here");
    }
    let records = testing::capture(|| logs_a_value(Chatty));
    assert_eq!(*records[0].input.as_ref().expect("input"), json!({"value": "Chatty"}));
    assert_eq!(messages(&records[0]), ["here"]);
}

mod support;
