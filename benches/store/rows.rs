//! Makes records that resemble those of a banking service.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use audited::record::{CorrelationId, ErrorInfo, Kind, LogEntry};
use audited::{Json, Outcome, Record};
use chrono::{DateTime, Utc};

pub(crate) const ACTORS: u64 = 2_000;
pub(crate) const TARGETS: u64 = 200_000;
/// Each of the seven target types has the same number of targets.
pub(crate) const TARGETS_OF_TYPE: u64 = TARGETS / 7;

/// The action, method and target type of each audited function.
pub(crate) const ACTIONS: [(&str, &str, &str); 20] = [
    ("transfer funds", "bank::transfers::transfer", "account"),
    ("open account", "bank::accounts::open", "account"),
    ("close account", "bank::accounts::close", "account"),
    ("read balance", "bank::accounts::balance", "account"),
    ("change address", "bank::customers::change_address", "customer"),
    ("read customer", "bank::customers::read", "customer"),
    ("search customers", "bank::customers::search", "customer"),
    ("verify identity", "bank::identity::verify", "customer"),
    ("issue card", "bank::cards::issue", "card"),
    ("block card", "bank::cards::block", "card"),
    ("change limit", "bank::cards::change_limit", "card"),
    ("authorise payment", "bank::payments::authorise", "payment"),
    ("capture payment", "bank::payments::capture", "payment"),
    ("refund payment", "bank::payments::refund", "payment"),
    ("dispute payment", "bank::payments::dispute", "payment"),
    ("create invoice", "billing::invoices::create", "invoice"),
    ("send invoice", "billing::invoices::send", "invoice"),
    ("cancel invoice", "billing::invoices::cancel", "invoice"),
    ("export report", "reports::export::run", "report"),
    ("log in", "auth::session::log_in", "session"),
];

/// Makes records, which are the same in every run except for the random part of their ids.
pub(crate) struct Rows {
    random: fastrand::Rng,
    now: DateTime<Utc>,
    actors: Vec<Arc<str>>,
    site: Arc<str>,
    service: Arc<str>,
    /// The correlation id and parent that the next records share.
    group: Option<(CorrelationId, Option<uuid::Uuid>)>,
    number: u64,
}

pub(crate) fn actor(number: u64) -> String {
    format!("user-{number:05}@example.com")
}

impl Rows {
    pub(crate) fn new() -> Self {
        Self {
            random: fastrand::Rng::with_seed(4711),
            now: "2026-01-02T03:04:05Z".parse().expect("a time"),
            actors: (0..ACTORS).map(|number| actor(number).into()).collect(),
            site: "eu-1".into(),
            service: "core-banking".into(),
            group: None,
            number: 0,
        }
    }

    pub(crate) fn batch(&mut self, size: usize) -> Vec<Record> {
        (0..size).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> Record {
        self.number += 1;
        // About 1,000 records/s. Records are stored when calls end, so their start times are not
        // sorted.
        self.now += Duration::from_micros(self.random.u64(..2_000));
        let started_at = self.now - Duration::from_micros(self.random.u64(..5_000));
        let (action, method, target_type) = ACTIONS[self.random.usize(..ACTIONS.len())];
        let mut record = Record::new(Kind::Call, action, started_at);
        record.method = method.into();
        record.duration_us = 20 + self.random.u64(..5_000);
        record.actor = Some(self.random.choice(&self.actors).expect("not empty").clone());
        record.site = Some(self.site.clone());
        record.service = Some(self.service.clone());
        let host = self.random.u16(..5_000).to_be_bytes();
        record.ip = Some(IpAddr::V4(Ipv4Addr::new(10, 20, host[0], host[1])));
        let target = self.random.u64(..TARGETS_OF_TYPE);
        record.target_type = Some(target_type.into());
        record.target_id = Some(target.to_string());
        self.correlate(&mut record);
        self.fill(&mut record, target);
        record
    }

    /// Half of the records have a correlation id of their own. The others share one with earlier
    /// records; part of those have a text from a request.
    fn correlate(&mut self, record: &mut Record) {
        match self.random.u8(..8) {
            0..4 => {}
            4 => self.group = Some((CorrelationId::Uuid(record.id), Some(record.id))),
            5 if self.random.bool() => {
                let text = format!("req-{:08x}", self.number);
                self.group = Some((CorrelationId::from(text), None));
                self.join_group(record);
            }
            _ => self.join_group(record),
        }
    }

    fn join_group(&self, record: &mut Record) {
        if let Some((correlation, parent)) = &self.group {
            record.correlation_id = correlation.clone();
            record.parent_id = *parent;
        }
    }

    /// Sets the input, the log and the outcome: one record in ten is a failure.
    fn fill(&mut self, record: &mut Record, target: u64) {
        let (other, cents) = (self.random.u64(..TARGETS_OF_TYPE), self.random.u64(..1_000_000));
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        record.input = Some(json(format!(
            r#"{{"from":{target},"to":{other},"amount":"{amount}","purpose":"invoice {}"}}"#,
            cents % 9_973
        )));
        let fields = Some(json(format!(r#"{{"to":{other},"attempt":1}}"#)));
        let target = record.method.rsplit_once("::").map_or("", |parts| parts.0).to_owned();
        record.log.push(LogEntry::new(
            record.started_at + Duration::from_micros(11),
            "INFO",
            target,
            "booked",
            fields,
        ));
        if self.random.u8(..10) == 0 {
            record.outcome = Outcome::Failure;
            let message = format!("balance of {amount} is too low");
            let sources = vec!["the limit of the account is reached".to_owned()];
            record.error = Some(ErrorInfo::new("bank::BankError", message, sources, None));
        } else {
            let number = self.number;
            record.output = Some(json(format!(r#"{{"number":{number},"balance":"{amount}"}}"#)));
        }
    }
}

fn json(text: String) -> Json {
    Json::parse(text).expect("is JSON")
}
