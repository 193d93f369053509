//! The subscriber that `audited::init` sets if the program has none: it creates no spans, but still
//! assigns events to their call. One test covers the global subscriber; the others use a scoped one
//! of the same kind.

use audited::{Context, audit_method, testing};
use tracing::{Span, dispatcher};
use tracing_subscriber::layer::SubscriberExt as _;

#[path = "support/interleaved.rs"]
mod interleaved;

#[test]
fn a_thousand_interleaved_calls_keep_their_logs_apart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _audit = audited::init(folder.path().join("audit.db")).expect("a new file");
    interleaved::check();
}

#[audit_method(action = "call", skip(f), skip_output)]
fn call<R>(name: &str, f: impl FnOnce() -> R) -> R {
    assert!(!name.is_empty(), "the name identifies the record");
    f()
}

/// The name and the messages of each record, in the order in which the calls ended.
fn logs_by_call(f: impl FnOnce()) -> Vec<(String, Vec<String>)> {
    let records = testing::capture(f);
    let name = |record: &audited::Record| {
        let input = record.input.as_ref().expect("an input").to_value();
        input["name"].as_str().expect("a text").to_owned()
    };
    let log =
        |record: &audited::Record| record.log.iter().map(|entry| entry.message.clone()).collect();
    records.iter().map(|record| (name(record), log(record))).collect()
}

fn expected(logs: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let texts = |log: &[&str]| log.iter().map(ToString::to_string).collect();
    logs.iter().map(|(name, log)| ((*name).to_owned(), texts(log))).collect()
}

#[test]
fn events_in_the_span_of_an_ended_call_are_in_no_log() {
    let found = logs_by_call(|| {
        let carried = call("first", || {
            tracing::info!("in the first");
            Span::current()
        });
        call("outer", || {
            let carried = call("second", Span::current);
            tracing::info!("before");
            carried.in_scope(|| tracing::info!("too late for the second"));
            tracing::info!("after");
        });
        drop(carried);
        assert!(Span::current().is_none(), "outside of all calls there is no span");
    });
    let log: &[&str] = &["before", "after"];
    assert_eq!(found, expected(&[("first", &["in the first"]), ("second", &[]), ("outer", log)]));
}

#[test]
fn spans_may_be_exited_in_any_order() {
    let found = logs_by_call(|| {
        call("outer", || {
            let outer = Span::current();
            call("inner", || {
                let inner = Span::current();
                let first = outer.enter();
                tracing::info!("a: outer");
                let second = inner.enter();
                tracing::info!("b: inner");
                drop(first);
                tracing::info!("c: inner");
                drop(second);
                tracing::info!("d: inner");
                let third = outer.enter();
                call("innermost", || tracing::info!("e: innermost"));
                tracing::info!("f: outer");
                drop(third);
                tracing::info!("g: inner");
            });
            tracing::info!("h: outer");
        });
    });
    assert_eq!(
        found,
        expected(&[
            ("innermost", &["e: innermost"]),
            ("inner", &["b: inner", "c: inner", "d: inner", "g: inner"]),
            ("outer", &["a: outer", "f: outer", "h: outer"]),
        ])
    );
}

#[test]
fn a_span_guard_that_outlives_its_call_does_not_affect_other_calls() {
    let found = logs_by_call(|| {
        call("outer", || {
            let left_late = call("inner", || Span::current().entered());
            tracing::info!("first");
            drop(left_late);
            tracing::info!("second");
        });
    });
    assert_eq!(found, expected(&[("inner", &[]), ("outer", &["first", "second"])]));
}

#[test]
fn an_event_with_an_explicit_parent_belongs_to_the_call_of_that_span() {
    let found = logs_by_call(|| {
        call("outer", || {
            let outer = Span::current();
            call("inner", || {
                tracing::info!(parent: &outer, "to the outer");
                tracing::info!(parent: None, "to none");
                tracing::info!("to the inner");
            });
        });
    });
    assert_eq!(found, expected(&[("inner", &["to the inner"]), ("outer", &["to the outer"])]));
}

#[test]
fn a_context_carries_the_parent_but_not_the_log() {
    let records = testing::capture(|| {
        call("outer", || {
            let (context, span) = (Context::current(), Span::current());
            let dispatch = dispatcher::get_default(Clone::clone);
            let in_thread = || {
                dispatcher::with_default(&dispatch, || {
                    context.scope(|| {
                        tracing::info!("to none");
                        span.in_scope(|| tracing::info!("to the outer"));
                        call("inner", || tracing::info!("to the inner"));
                    });
                });
            };
            std::thread::scope(|threads| threads.spawn(in_thread).join().expect("no panic"));
        });
    });
    let [inner, outer] = &records[..] else { panic!("two records: {records:?}") };
    assert_eq!(inner.parent_id, Some(outer.id));
    assert_eq!(inner.log.len(), 1);
    assert_eq!(inner.log[0].message, "to the inner");
    assert_eq!(outer.log.len(), 1);
    assert_eq!(outer.log[0].message, "to the outer");
}

#[test]
fn a_call_in_the_span_of_another_call_is_its_child() {
    let records = testing::capture(|| {
        let span = call("outer", Span::current);
        span.in_scope(|| call("inner", || ()));
    });
    let [outer, inner] = &records[..] else { panic!("two records: {records:?}") };
    assert_eq!(inner.parent_id, Some(outer.id));
    assert_eq!(inner.correlation_id, outer.correlation_id);
}

#[test]
fn a_span_created_by_the_program_refers_to_the_call_that_creates_it() {
    let found = logs_by_call(|| {
        let outside = tracing::info_span!("outside");
        call("outer", || {
            let work = tracing::info_span!("work", shard = 3);
            let deeper = work.in_scope(|| tracing::info_span!("deeper"));
            let current = Span::current();
            assert_eq!((work.id(), deeper.id()), (current.id(), current.id()));
            assert_eq!(current.metadata().map(|metadata| metadata.name()), Some("call"));
            let (context, dispatch) = (Context::current(), dispatcher::get_default(Clone::clone));
            let in_thread = || {
                dispatcher::with_default(&dispatch, || {
                    work.in_scope(|| tracing::info!("in its work"));
                    tracing::info!("to none");
                    let of_parent = tracing::info_span!(parent: &deeper, "named");
                    of_parent.in_scope(|| tracing::info!("deeper in its work"));
                    context.scope(|| {
                        call("other", || deeper.in_scope(|| tracing::info!("not of the other")));
                    });
                });
            };
            std::thread::scope(|threads| threads.spawn(in_thread).join().expect("no panic"));
            outside.in_scope(|| tracing::info!("in the call, if in a span from outside"));
        });
    });
    let log: &[&str] = &[
        "in its work",
        "deeper in its work",
        "not of the other",
        "in the call, if in a span from outside",
    ];
    assert_eq!(found, expected(&[("other", &[]), ("outer", log)]));
}

/// The same program under both subscribers, in an outer call and an inner one.
#[test]
fn both_subscribers_assign_events_to_the_same_calls() {
    let program = || {
        let outside = tracing::info_span!("outside");
        call("outer", || {
            tracing::info!("1: outer");
            let detached = tracing::info_span!(parent: None, "detached");
            let own = tracing::info_span!("own");
            let mut below = tracing::Span::none();
            detached.in_scope(|| {
                tracing::info!("2: none");
                below = tracing::info_span!("below");
                below.in_scope(|| tracing::info!("3: none"));
                own.in_scope(|| tracing::info!("4: outer"));
                call("inner", || {
                    tracing::info!("5: inner");
                    outside.in_scope(|| tracing::info!("6: inner"));
                    tracing::info!("7: inner");
                });
                tracing::info!("8: none");
            });
            outside.in_scope(|| tracing::info!("9: outer"));
            own.in_scope(|| detached.in_scope(|| tracing::info!("10: none")));
            below.in_scope(|| tracing::info!("none"));
            let of_outside = tracing::info_span!(parent: &outside, "of outside");
            of_outside.in_scope(|| tracing::info!("none"));
            tracing::info!("11: outer");
        });
    };
    let expected = expected(&[
        ("inner", &["5: inner", "6: inner", "7: inner"]),
        ("outer", &["1: outer", "4: outer", "9: outer", "11: outer"]),
    ]);
    assert_eq!(logs_by_call(program), expected);
    let registry = tracing_subscriber::registry().with(audited::layer());
    let found = tracing::subscriber::with_default(registry, || logs_by_call(program));
    assert_eq!(found, expected);
}

#[test]
fn captured_records_have_the_logs_of_threads_and_tasks_that_carry_the_context() {
    let in_thread = |name: &'static str| {
        move || {
            call(name, || tracing::info!("in a thread"));
        }
    };
    let found = logs_by_call(|| {
        let context = Context::current();
        std::thread::scope(|threads| {
            threads.spawn(|| context.scope(in_thread("scope")));
        });
        let wrapped = Context::current().wrap(async {
            call("wrap", || tracing::info!("in a task"));
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
        let runtime = runtime.expect("a runtime");
        let task = runtime.spawn(wrapped);
        runtime.block_on(task).expect("no panic");
        call("outer", || {
            let (context, span) = (Context::current(), Span::current());
            let work = move || context.scope(|| span.in_scope(|| tracing::info!("of the outer")));
            std::thread::spawn(work).join().expect("no panic");
        });
    });
    let outer: &[&str] = &["of the outer"];
    let expected =
        expected(&[("scope", &["in a thread"]), ("wrap", &["in a task"]), ("outer", outer)]);
    assert_eq!(found, expected);
}

#[test]
fn a_subscriber_that_the_program_sets_in_a_captured_scope_stays() {
    let records = testing::capture(|| {
        let none = tracing::subscriber::NoSubscriber::default();
        tracing::subscriber::with_default(none, || {
            Context::new().actor("alice").scope(|| call("work", || tracing::info!("unheard")));
        });
    });
    assert_eq!(records[0].log, []);
}
