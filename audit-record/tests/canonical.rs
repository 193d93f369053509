//! The canonical text of records: its exact bytes, and that it is read back without loss.

use audit_record::{
    ChangeKind, CorrelationId, ErrorInfo, FieldChange, Gap, Json, Kind, LogEntry, Note, Outcome,
    Record, Truncation,
};
use chrono::{DateTime, Utc};
use proptest::prelude::*;
use uuid::Uuid;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn id(last: u128) -> Uuid {
    Uuid::from_u128(0x0192_f0c1_7c1e_7cc3_9d4e_0000_0000_0000 + last)
}

fn json(text: &str) -> Option<Json> {
    Some(Json::parse(text).expect("JSON"))
}

fn empty() -> Record {
    let mut record = Record::new(Kind::Call, "pay invoice", time("2026-11-27T09:30:00Z"));
    record.id = id(1);
    record.correlation_id = CorrelationId::Uuid(id(1));
    record
}

fn full() -> Record {
    let mut record = empty();
    record.seq = Some(17);
    record.started_at = time("2026-11-27T09:30:00.5Z");
    record.duration_us = 1_250;
    record.method = "bank::Account::pay".into();
    record.outcome = Outcome::Failure;
    record.actor = Some("alice \"the boss\"".into());
    record.on_behalf_of = Some("bob".into());
    record.ip = Some("192.0.2.7".parse().expect("an address"));
    record.site = Some("eu-1".into());
    record.service = Some("billing".into());
    record.target_type = Some("invoice".into());
    record.target_id = Some("4711".into());
    record.target_label = Some("Nº 4711\n".into());
    record.correlation_id = CorrelationId::Text("order 17".into());
    record.parent_id = Some(id(2));
    record.input = json(r#"{"amount": 1.10, "to":18446744073709551616}"#);
    record.output = json("null");
    let log = |at, fields| LogEntry::new(time(at), "INFO", "bank", "tab\there", fields);
    record.log = vec![
        log("2026-11-27T09:30:00.000001Z", json(r#"{"n":1}"#)),
        log("2026-11-27T09:30:01Z", None),
    ];
    record.error = Some(ErrorInfo::new(
        "bank::Error",
        "no funds",
        vec!["limit reached".into()],
        Some("src/bank.rs:17:9".into()),
    ));
    record.traceback = Some("0: bank::pay".into());
    record.reason = Some("monthly run".into());
    record.notes = vec![Note::new("ticket", "approved by phone")];
    record.context = json(r#"{"request_id":"r-1"}"#);
    record.truncated = vec![
        Truncation::new("input.body", "bytes", 10, Some(20)),
        Truncation::new("log", "entries", 3, None),
    ];
    record.session_id = Some(id(3));
    record.wait_us = Some(310);
    record.changes = vec![FieldChange::new(
        "invoice",
        "4711",
        ChangeKind::Changed,
        "total",
        json("\"101.67\""),
        None,
        time("2026-11-27T09:30:00.000900Z"),
    )];
    record
}

/// These bytes are frozen: a change breaks each digest and each file that exists.
#[test]
fn the_canonical_text_has_exactly_these_bytes() {
    assert_eq!(
        empty().to_json().as_str(),
        concat!(
            r#"{"id":"0192f0c1-7c1e-7cc3-9d4e-000000000001","kind":"call","#,
            r#""started_at":"2026-11-27T09:30:00.000000Z","duration_us":0,"action":"pay invoice","#,
            r#""method":"","outcome":"success","#,
            r#""correlation_id":"0192f0c1-7c1e-7cc3-9d4e-000000000001"}"#,
        )
    );
    assert_eq!(
        full().to_json().as_str(),
        concat!(
            r#"{"seq":17,"id":"0192f0c1-7c1e-7cc3-9d4e-000000000001","kind":"call","#,
            r#""started_at":"2026-11-27T09:30:00.500000Z","duration_us":1250,"#,
            r#""action":"pay invoice","method":"bank::Account::pay","outcome":"failure","#,
            r#""actor":"alice \"the boss\"","on_behalf_of":"bob","ip":"192.0.2.7","site":"eu-1","#,
            r#""service":"billing","target_type":"invoice","target_id":"4711","#,
            r#""target_label":"Nº 4711\n","correlation_id":"order 17","#,
            r#""parent_id":"0192f0c1-7c1e-7cc3-9d4e-000000000002","#,
            r#""input":{"amount": 1.10, "to":18446744073709551616},"output":null,"#,
            r#""log":[{"time":"2026-11-27T09:30:00.000001Z","level":"INFO","target":"bank","#,
            r#""message":"tab\there","fields":{"n":1}},{"time":"2026-11-27T09:30:01.000000Z","#,
            r#""level":"INFO","target":"bank","message":"tab\there"}],"#,
            r#""error":{"type":"bank::Error","message":"no funds","sources":["limit reached"],"#,
            r#""location":"src/bank.rs:17:9"},"traceback":"0: bank::pay","reason":"monthly run","#,
            r#""notes":[{"title":"ticket","description":"approved by phone"}],"#,
            r#""context":{"request_id":"r-1"},"#,
            r#""truncated":[{"path":"input.body","unit":"bytes","kept":10,"was":20},"#,
            r#"{"path":"log","unit":"entries","kept":3}],"#,
            r#""session_id":"0192f0c1-7c1e-7cc3-9d4e-000000000003","wait_us":310,"#,
            r#""changes":[{"target_type":"invoice","target_id":"4711","change":"changed","#,
            r#""field":"total","before":"101.67","changed_at":"2026-11-27T09:30:00.000900Z"}]}"#,
        )
    );
}

#[test]
fn the_variant_of_an_error_stands_behind_its_type() {
    let mut record = full();
    let error = record.error.as_mut().expect("an error");
    error.variant = Some("NoFunds".to_owned());
    let text = record.to_json();
    let expected = r#""error":{"type":"bank::Error","variant":"NoFunds","message":"no funds","#;
    assert!(text.as_str().contains(expected), "{text}");
    assert_eq!(text.to::<Record>().expect("a record"), record);
}

#[test]
fn the_keys_are_the_columns_in_their_order() {
    let text = full().to_json();
    let mut from = 0;
    for column in Record::COLUMNS {
        let key = format!("\"{column}\":");
        let at = text.as_str()[from..].find(&key);
        from += at.unwrap_or_else(|| panic!("{column} is missing, or not in its place"));
    }
}

#[test]
fn a_record_is_read_back_from_its_text_without_loss() {
    for record in [empty(), full()] {
        assert_eq!(record.to_json().to::<Record>().expect("a record"), record);
    }
}

#[test]
fn serde_json_reads_and_writes_the_same_record() {
    let mut record = full();
    // `serde_json` keeps only numbers of 64 bits exactly.
    record.input = json(r#"{"amount":1.5,"to":[true,null,-3,"x"]}"#);
    let text = serde_json::to_string(&record).expect("it is serialised");
    assert_eq!(text, record.to_json().as_str());
    assert_eq!(serde_json::from_str::<Record>(&text).expect("a record"), record);
    let value = serde_json::to_value(&record).expect("a value");
    assert_eq!(serde_json::from_value::<Record>(value).expect("a record").id, record.id);
}

#[test]
fn a_record_without_a_required_column_is_refused_with_its_name() {
    let error = Json::parse(r#"{"kind":"call"}"#).expect("JSON").to::<Record>().unwrap_err();
    assert_eq!(error.to_string(), "missing field `id`");
}

#[test]
fn a_gap_is_read_back_from_its_record() {
    let mut gap = Gap::new(41, "the queue was full or closed");
    gap.at_most = true;
    gap.dropped = Some(2);
    gap.from = Some(time("2026-11-27T09:30:00Z"));
    gap.actions = vec![("view \"all\"".into(), 40), ("pay".into(), 1)];
    gap.pid = Some(4711);
    gap.service = Some("billing".into());
    let record = gap.to_record(time("2026-11-27T09:31:00Z"));
    assert_eq!(
        record.output.as_ref().expect("an output").as_str(),
        concat!(
            r#"{"records":41,"at_most":true,"dropped":2,"from":"2026-11-27T09:30:00.000000Z","#,
            r#""actions":{"view \"all\"":40,"pay":1},"pid":4711,"service":"billing"}"#,
        )
    );
    let message = &record.error.as_ref().expect("an error").message;
    assert_eq!(message, "at most 41 records are missing: the queue was full or closed");
    assert_eq!(Gap::of(&record).expect("a gap"), Some(gap));
    assert_eq!(Gap::of(&empty()).expect("no gap"), None);
}

#[test]
fn the_gap_of_an_older_trail_is_read() {
    let mut record = Gap::new(1, "killed").to_record(time("2026-11-27T09:31:00Z"));
    record.output = json(r#"{"records_at_most":7,"dropped":0,"basis":"counted","pid":1}"#);
    let gap = Gap::of(&record).expect("a gap").expect("a gap");
    assert_eq!((gap.records, gap.at_most, gap.dropped, gap.pid), (7, true, Some(0), Some(1)));
}

#[test]
fn an_output_that_is_no_gap_is_refused() {
    let mut record = Gap::new(1, "killed").to_record(time("2026-11-27T09:31:00Z"));
    for output in ["{}", r#"{"records":null}"#, r#"{"records":-1}"#, "[1,2,true]", "7"] {
        record.output = json(output);
        assert!(Gap::of(&record).is_err(), "{output}");
    }
    record.output = None;
    assert_eq!(
        Gap::of(&record).unwrap_err().to_string(),
        "the `output` of a record of kind `gap` cannot be read: it is missing; read the record's \
         `reason` instead"
    );
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        "-?[1-9][0-9]{0,40}(\\.[0-9]{1,30})?",
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a string")),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|parts| format!("[{}]", parts.join(", "))),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|map| {
                let entry = |(key, value): (String, String)| {
                    format!("{}: {value}", serde_json::to_string(&key).expect("a string"))
                };
                format!("{{ {} }}", map.into_iter().map(entry).collect::<Vec<_>>().join(","))
            }),
        ]
    })
    .prop_map(|text| Json::parse(text).expect("JSON"))
}

#[test]
fn a_value_that_nests_too_deep_is_written_as_a_string() {
    let nested = |levels: usize| json(&format!("{}{}", "[".repeat(levels), "]".repeat(levels)));
    for levels in 120..=127 {
        let mut record = full();
        record.input = nested(levels);
        record.log[0].fields = nested(levels);
        record.changes[0].before = nested(levels);
        let text = record.to_json();
        assert_eq!(serde_json::to_string(&record).expect("JSON"), text.as_str());
        let read = text.to::<Record>().expect("a record");
        if levels <= 124 {
            assert_eq!(read, record);
        } else {
            let as_string = record.input.as_ref().map(|input| format!("\"{input}\""));
            assert_eq!(read.input.map(|input| input.as_str().to_owned()), as_string);
        }
        serde_json::to_string(&record.changes[0]).expect("JSON");
    }
}

proptest! {
    #[test]
    fn captured_values_are_read_back_byte_by_byte(input in any_json(), before in any_json()) {
        let mut record = full();
        record.input = Some(input);
        record.changes[0].before = Some(before);
        prop_assert_eq!(record.to_json().to::<Record>().expect("a record"), record);
    }

    #[test]
    fn texts_and_numbers_are_read_back(
        action in ".*",
        actor in proptest::option::of(".*"),
        duration_us in any::<u64>(),
        micros in -62_135_596_800_000_000_i64..253_402_300_799_999_999,
        wait_us in any::<Option<u64>>(),
        correlation in ".*",
    ) {
        let mut record = full();
        record.action = action.into();
        record.actor = actor.map(Into::into);
        record.duration_us = duration_us;
        record.started_at = DateTime::from_timestamp_micros(micros).expect("a time");
        record.wait_us = wait_us;
        record.correlation_id = correlation.as_str().into();
        prop_assert_eq!(record.to_json().to::<Record>().expect("a record"), record);
    }
}

#[test]
fn a_value_that_was_not_recorded_has_a_reason() {
    let lost = Truncation::not_recorded("input.path", "not UTF-8");
    let text = serde_json::to_string(&lost).unwrap();
    assert_eq!(
        text,
        r#"{"path":"input.path","unit":"values","kept":0,"was":1,"reason":"not UTF-8"}"#
    );
    assert_eq!(serde_json::from_str::<Truncation>(&text).unwrap(), lost);
    let cut: Truncation =
        serde_json::from_str(r#"{"path":"log","unit":"entries","kept":3}"#).unwrap();
    assert_eq!(cut, Truncation::new("log", "entries", 3, None));
}
