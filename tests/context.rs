//! `Context`: what it records, where it applies, and that it never leaks.

use std::panic::{AssertUnwindSafe, catch_unwind};

use audited::record::CorrelationId;
use audited::{Audit, Context, Mask, audit_method, testing};
use serde_json::json;
use support::MemoryStore;

mod support;

#[audit_method(action = "work")]
fn work() {}

#[audit_method(action = "work later")]
async fn work_later() {
    tokio::task::yield_now().await;
    work();
}

fn actors(records: &[audited::Record]) -> Vec<Option<&str>> {
    records.iter().map(|record| record.actor.as_deref()).collect()
}

#[test]
fn every_part_of_a_context_is_recorded() {
    let records = testing::capture(|| {
        Context::new()
            .actor("alice")
            .actor_details(json!({"role": "clerk", "token": "t"}))
            .on_behalf_of("bob")
            .ip([192, 0, 2, 7])
            .site("eu-1")
            .service("billing")
            .correlation_id("order 17")
            .request_id("r-1")
            .session("s-1")
            .user_agent("curl/8")
            .url("/pay?amount=5&access_token=abc#top")
            .field("tenant", 5)
            .field("password", "p")
            .scope(work);
    });
    let record = &records[0];
    assert_eq!(record.actor.as_deref(), Some("alice"));
    assert_eq!(record.on_behalf_of.as_deref(), Some("bob"));
    assert_eq!(record.ip, Some([192, 0, 2, 7].into()));
    assert_eq!(record.site.as_deref(), Some("eu-1"));
    assert_eq!(record.service.as_deref(), Some("billing"));
    assert_eq!(record.correlation_id, CorrelationId::from("order 17"));
    assert_eq!(
        record.context.as_ref().expect("a context").as_str(),
        r#"{"request_id":"r-1","session":"s-1","user_agent":"curl/8","url":"/pay?amount=5&access_token=[redacted]#top","actor_details":{"role":"clerk","token":"[redacted]"},"extra":{"tenant":5,"password":"[redacted]"}}"#,
    );
}

#[test]
fn an_empty_context_records_nothing() {
    let records = testing::capture(|| {
        work();
        Context::new().scope(work);
    });
    for record in &records {
        assert_eq!((&record.actor, &record.ip, &record.site), (&None, &None, &None));
        assert_eq!(record.context, None);
    }
}

#[test]
fn nested_scopes_restore_the_context_even_after_a_panic() {
    let records = testing::capture(|| {
        Context::new().actor("alice").scope(|| {
            work();
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                Context::new().actor("bob").scope(|| {
                    work();
                    panic!("in the scope of bob");
                });
            }));
            panicked.expect_err("the scope panics");
            work();
        });
        work();
    });
    assert_eq!(actors(&records), [Some("alice"), Some("bob"), Some("alice"), None]);
}

#[test]
fn a_new_context_inherits_nothing_and_the_current_one_everything() {
    let records = testing::capture(|| {
        Context::new().actor("alice").ip([192, 0, 2, 7]).field("a", 1).scope(|| {
            Context::new().actor("bob").scope(work);
            Context::current().actor("carol").field("b", 2).scope(work);
        });
    });
    assert_eq!(actors(&records), [Some("bob"), Some("carol")]);
    assert_eq!((records[0].ip, records[1].ip), (None, Some([192, 0, 2, 7].into())));
    assert_eq!(records[0].context, None);
    assert_eq!(*records[1].context.as_ref().expect("extra"), json!({"extra": {"a": 1, "b": 2}}));
}

#[test]
fn the_values_of_a_context_can_be_read() {
    let ip = std::net::IpAddr::from([192, 0, 2, 7]);
    let context = Context::new()
        .actor("alice")
        .actor_details(json!({"role": "clerk", "token": "t"}))
        .on_behalf_of("bob")
        .ip(ip)
        .site("eu-1")
        .service("billing")
        .correlation_id("order 17")
        .request_id("r-1")
        .session("s-1")
        .user_agent("curl/8")
        .url("/pay")
        .field("tenant", 5)
        .field("plan", "basic")
        .field("tenant", 6);
    context.scope(|| {
        let current = Context::current();
        let values = current.values();
        assert_eq!((values.actor(), values.on_behalf_of()), (Some("alice"), Some("bob")));
        assert_eq!(values.ip(), Some(ip));
        assert_eq!((values.site(), values.service()), (Some("eu-1"), Some("billing")));
        assert_eq!(values.correlation_id(), Some(&CorrelationId::from("order 17")));
        assert_eq!((values.request_id(), values.session()), (Some("r-1"), Some("s-1")));
        assert_eq!((values.user_agent(), values.url()), (Some("curl/8"), Some("/pay")));
        let details = values.actor_details().expect("details").to_value();
        assert_eq!(details, json!({"role": "clerk", "token": "[redacted]"}));
        assert_eq!(values.field("tenant").expect("a field").to_value(), json!(6));
        assert_eq!(values.field("missing"), None);
        let keys: Vec<&str> = values.fields().map(|(key, _)| key).collect();
        assert_eq!(keys, ["plan", "tenant"]);
    });
    let outside = Context::current();
    let values = outside.values();
    assert_eq!((values.actor(), values.ip(), values.correlation_id()), (None, None, None));
    assert_eq!(values.fields().count(), 0);
}

#[test]
fn the_debug_text_of_a_context_contains_no_details() {
    let context = Context::new().actor("alice").session("s-1").field("note", "private");
    let future = context.wrap(std::future::ready(()));
    for text in [format!("{context:?}"), format!("{:?}", context.values()), format!("{future:?}")] {
        assert!(text.contains("alice"), "{text}");
        assert!(!text.contains("s-1") && !text.contains("private"), "{text}");
    }
}

#[test]
fn a_context_is_immutable() {
    let alice = Context::new().actor("alice");
    let _bob = alice.clone().actor("bob");
    let records = testing::capture(|| alice.scope(work));
    assert_eq!(actors(&records), [Some("alice")]);
}

#[test]
fn a_field_overrides_the_extra_of_only_one_record() {
    #[audit_method(action = "fields", fields(tenant = tenant + 1, by.attribute = "yes"))]
    fn fields(tenant: u32) {
        audited::field("late", [1, 2]);
    }
    let records = testing::capture(|| {
        Context::new().request_id("r").field("tenant", 5).field("kept", true).scope(|| {
            fields(6);
            work();
        });
    });
    assert_eq!(
        *records[0].context.as_ref().expect("extra"),
        json!({
            "request_id": "r",
            "extra": {"kept": true, "tenant": 7, "by.attribute": "yes", "late": [1, 2]},
        }),
    );
    assert_eq!(
        *records[1].context.as_ref().expect("extra"),
        json!({"request_id": "r", "extra": {"tenant": 5, "kept": true}}),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_wrapped_future_has_its_context_on_every_thread_that_polls_it() {
    let records = testing::capture_async(async {
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                let context = Context::current().actor(format!("actor {number}"));
                tokio::spawn(context.wrap(async move {
                    for _ in 0..10 {
                        work_later().await;
                        tokio::task::yield_now().await;
                    }
                    number
                }))
            })
            .collect();
        for task in tasks {
            task.await.expect("no task panics");
        }
    })
    .await;
    assert_eq!(records.len(), 100 * 10 * 2);
    for number in 0..100 {
        let actor = format!("actor {number}");
        let of_actor = records.iter().filter(|r| r.actor.as_deref() == Some(&actor)).count();
        assert_eq!(of_actor, 20, "{actor}");
    }
}

#[tokio::test]
async fn a_spawned_task_does_not_inherit_the_context() {
    let kept = MemoryStore::default();
    let audit = Audit::builder().store(kept.clone()).build().expect("a recorder");
    Context::new()
        .actor("alice")
        .wrap(async {
            let outside = Context::new().recorder(&audit);
            tokio::spawn(async move { outside.scope(work) }).await.expect("no panic");
        })
        .await;
    audit.flush().expect("the store accepts every record");
    assert_eq!(actors(&kept.records()), [None]);
}

#[test]
fn nested_calls_form_a_tree() {
    #[audit_method(action = "outer")]
    fn outer() {
        middle();
        work();
    }
    #[audit_method(action = "middle")]
    fn middle() {
        work();
    }
    let records = testing::capture(|| {
        outer();
        Context::new().correlation_id("order 17").scope(outer);
    });
    let actions: Vec<_> = records.iter().map(|record| &*record.action).collect();
    assert_eq!(actions, ["work", "middle", "work", "outer"].repeat(2));
    let parents: Vec<_> = records.iter().map(|record| record.parent_id).collect();
    let id = |at: usize| Some(records[at].id);
    assert_eq!(parents, [id(1), id(3), id(3), None, id(5), id(7), id(7), None]);
    for record in &records[..4] {
        assert_eq!(record.correlation_id, CorrelationId::Uuid(records[3].id));
    }
    for record in &records[4..] {
        assert_eq!(record.correlation_id, CorrelationId::from("order 17"));
    }
}

#[test]
fn a_carried_context_keeps_the_tree_of_calls_across_threads() {
    #[audit_method(action = "outer")]
    fn outer() {
        let context = Context::current();
        std::thread::spawn(move || context.scope(work)).join().expect("no panic");
    }
    let records = testing::capture(|| Context::new().actor("alice").scope(outer));
    assert_eq!(records[0].parent_id, Some(records[1].id));
    assert_eq!(records[0].correlation_id, CorrelationId::Uuid(records[1].id));
    assert_eq!(actors(&records), [Some("alice"), Some("alice")]);
}

#[test]
fn two_recorders_write_two_separate_trails() {
    let (first, second) = (MemoryStore::default(), MemoryStore::default());
    let one = Audit::builder().store(first.clone()).service("one").build().expect("a recorder");
    let two = Audit::builder().store(second.clone()).service("two").build().expect("a recorder");
    Context::new().recorder(&one).scope(|| {
        work();
        Context::new().recorder(&two).scope(work);
        // A context without a recorder keeps the current recorder.
        Context::new().actor("alice").scope(work);
    });
    one.flush().expect("the store accepts every record");
    two.flush().expect("the store accepts every record");
    assert_eq!(actors(&first.records()), [None, Some("alice")]);
    assert_eq!(actors(&second.records()), [None]);
    assert_eq!(first.records()[0].service.as_deref(), Some("one"));
    assert_eq!(second.records()[0].service.as_deref(), Some("two"));
}

#[test]
fn values_of_a_context_are_captured_like_arguments() {
    #[derive(serde::Serialize)]
    struct Vault {
        #[serde(serialize_with = "serialise_secret_explicitly")]
        content: secrecy::SecretString,
        password: Unserialisable,
        ratio: f64,
        big: u128,
    }
    fn serialise_secret_explicitly<S: serde::Serializer>(
        secret: &secrecy::SecretString,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let _ = secret;
        serializer.serialize_str("explicitly serialised")
    }
    struct Unserialisable;
    impl serde::Serialize for Unserialisable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("a masked value is never serialised")
        }
    }
    let vault = Vault {
        content: "HUNTER2".into(),
        password: Unserialisable,
        ratio: f64::NAN,
        big: u128::MAX,
    };
    let records = testing::capture(|| {
        Context::new().field("vault", &vault).field("long", "x".repeat(100_000)).scope(work);
    });
    let context = records[0].context.as_ref().expect("extra").to_value();
    assert_eq!(
        context["extra"]["vault"],
        json!({
            "content": "explicitly serialised",
            "password": "[redacted]",
            "ratio": "NaN",
            "big": "340282366920938463463374607431768211455",
        }),
    );
    let cut = &records[0].truncated[0];
    assert_eq!((cut.path.as_str(), cut.was), ("context.extra.long", Some(100_000)));
}

#[test]
fn each_recorder_applies_its_own_mask() {
    let (first, second) = (MemoryStore::default(), MemoryStore::default());
    let open =
        Audit::builder().store(first.clone()).mask(Mask::none()).build().expect("a recorder");
    let strict = Audit::builder()
        .store(second.clone())
        .mask(Mask::default().name("iban").name("session"))
        .build()
        .expect("a recorder");
    let context = Context::new().session("s-1").field("iban", "DE99");
    for audit in [&open, &strict] {
        context.clone().recorder(audit).scope(work);
        audit.flush().expect("the store accepts every record");
    }
    let recorded =
        |kept: &MemoryStore| kept.records()[0].context.as_ref().expect("a context").to_value();
    assert_eq!(recorded(&first), json!({"session": "s-1", "extra": {"iban": "DE99"}}));
    assert_eq!(
        recorded(&second),
        json!({"session": "[redacted]", "extra": {"iban": "[redacted]"}})
    );
}

#[test]
fn secrets_in_every_part_of_a_url_are_masked() {
    for (url, masked) in [
        ("https://bob:hunter2@h/p?a=1", "https://bob:[redacted]@h/p?a=1"),
        ("https://bob@h/", "https://bob@h/"),
        ("/cb#access_token=x&state=1", "/cb#access_token=[redacted]&state=1"),
        ("/p;token=x/q?n=1;password=y", "/p;token=[redacted]/q?n=1;password=[redacted]"),
        ("/?pass%77ord=x", "/?pass%77ord=[redacted]"),
        ("/plain?q=a@b:c&é=%zz", "/plain?q=a@b:c&é=%zz"),
    ] {
        let records = testing::capture(|| Context::new().url(url).scope(work));
        assert_eq!(*records[0].context.as_ref().expect("a context"), json!({"url": masked}));
    }
}

#[test]
fn a_context_taken_in_an_outer_call_does_not_hide_the_inner_call() {
    #[audit_method(action = "outer")]
    fn outer() {
        middle(&Context::current().actor("bob"));
    }
    #[audit_method(action = "middle", skip(context))]
    fn middle(context: &Context) {
        context.scope(|| {
            audited::reason("set in the middle");
            work();
        });
    }
    let records = testing::capture(outer);
    assert_eq!(records[0].parent_id, Some(records[1].id));
    assert_eq!(records[1].reason.as_deref(), Some("set in the middle"));
    assert_eq!(records[2].reason, None);
}

#[test]
fn a_separate_trail_has_a_separate_tree_of_calls() {
    #[audit_method(action = "outer")]
    fn outer() -> Vec<audited::Record> {
        testing::capture(work)
    }
    let mut inner = Vec::new();
    testing::capture(|| inner = outer());
    assert_eq!(inner[0].parent_id, None);
    assert_eq!(inner[0].correlation_id, CorrelationId::Uuid(inner[0].id));
}
