//! The parts of a context, and how they become part of a record.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use audit_record::private::json::write_key;
use audit_record::private::size::HeapBytes;
use audit_record::{CorrelationId, Json, Record, Truncation};
use serde::Serialize;

use crate::capture::{self, Rules};
use crate::in_flight::url;
use crate::recorder::{Recorder, RecorderRef};

/// The parts of a context.
#[derive(Default)]
pub(crate) struct ContextData {
    pub(crate) actor: Option<Arc<str>>,
    pub(crate) actor_details: Option<Json>,
    pub(crate) on_behalf_of: Option<Arc<str>>,
    pub(crate) ip: Option<IpAddr>,
    pub(crate) site: Option<Arc<str>>,
    pub(crate) service: Option<Arc<str>>,
    pub(crate) correlation_id: Option<CorrelationId>,
    pub(crate) request_id: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) extra: Vec<(String, Json)>,
    pub(crate) recorder: Option<RecorderRef>,
    /// What was cut when it was given.
    pub(crate) cuts: Vec<Truncation>,
    /// The parts without a column of their own as JSON, made when the first record needs them, by the rules
    /// of its recorder: that of this generation.
    pub(crate) described: OnceLock<(u64, Described)>,
}

pub(crate) struct Described {
    /// `"request_id":…,` and so on, without `extra`.
    members: String,
    /// Key and JSON text.
    extra: Vec<(String, String)>,
    /// The whole object, for a call that adds nothing.
    whole: Option<Json>,
    cuts: Vec<Truncation>,
    /// What all of the context takes.
    bytes: usize,
}

impl Clone for ContextData {
    fn clone(&self) -> Self {
        Self {
            actor: self.actor.clone(),
            actor_details: self.actor_details.clone(),
            on_behalf_of: self.on_behalf_of.clone(),
            ip: self.ip,
            site: self.site.clone(),
            service: self.service.clone(),
            correlation_id: self.correlation_id.clone(),
            request_id: self.request_id.clone(),
            session: self.session.clone(),
            user_agent: self.user_agent.clone(),
            url: self.url.clone(),
            extra: self.extra.clone(),
            recorder: self.recorder.clone(),
            cuts: self.cuts.clone(),
            // The copy is about to be changed.
            described: OnceLock::new(),
        }
    }
}

impl ContextData {
    /// Writes what this context says into `record`; `fields` come from the call and override `extra`.
    pub(crate) fn describe(
        &self,
        record: &mut Record,
        recorder: &Recorder,
        fields: Vec<(String, String)>,
    ) {
        record.actor.clone_from(&self.actor);
        record.on_behalf_of.clone_from(&self.on_behalf_of);
        record.ip = self.ip;
        if self.site.is_some() {
            record.site.clone_from(&self.site);
        }
        if self.service.is_some() {
            record.service.clone_from(&self.service);
        }
        let (generation, described) = self.described(recorder);
        let other;
        let described = if *generation == recorder.generation() {
            described
        } else {
            other = self.render(&recorder.rules);
            &other
        };
        record.truncated.extend_from_slice(&self.cuts);
        record.truncated.extend_from_slice(&described.cuts);
        record.context = if fields.is_empty() {
            described.whole.clone()
        } else {
            let mut extra = described.extra.clone();
            for (key, value) in fields {
                extra.retain(|(known, _)| *known != key);
                extra.push((key, value));
            }
            Some(object(&described.members, &extra))
        };
    }

    /// What this takes, if all that `recorder` hides of it is hidden, and [`describe`](Self::describe) only copies.
    pub(crate) fn described_bytes(&self, recorder: &Recorder) -> Option<usize> {
        let (generation, described) = self.described(recorder);
        (*generation == recorder.generation()).then_some(described.bytes)
    }

    /// The parts without a column, and the recorder by whose rules they were made: the first that asked.
    fn described(&self, recorder: &Recorder) -> &(u64, Described) {
        self.described.get_or_init(|| (recorder.generation(), self.render(&recorder.rules)))
    }

    fn render(&self, rules: &Rules) -> Described {
        let (mut members, mut cuts) = (String::new(), Vec::new());
        let mut texts = |name: &str, text: Option<&str>| {
            if let Some(text) = text {
                member(&mut members, &mut cuts, rules, name, &text);
            }
        };
        texts("request_id", self.request_id.as_deref());
        texts("session", self.session.as_deref());
        texts("user_agent", self.user_agent.as_deref());
        texts("url", self.url.as_deref().map(|url| url::masked(url, rules)).as_deref());
        if let Some(details) = &self.actor_details {
            member(&mut members, &mut cuts, rules, "actor_details", &details.exactly());
        }
        let extra: Vec<(String, String)> = self
            .extra
            .iter()
            .map(|(key, value)| {
                let mut json = String::new();
                if rules.mask.matches(key) {
                    capture::write_redacted(&mut json);
                } else {
                    let path = format!("context.extra.{key}");
                    capture::write_serialize(&mut json, &mut cuts, &path, rules, &value.exactly());
                }
                (key.clone(), json)
            })
            .collect();
        let whole = (!members.is_empty() || !extra.is_empty()).then(|| object(&members, &extra));
        let mut described = Described { members, extra, whole, cuts, bytes: 0 };
        described.bytes = self.bytes(&described);
        described
    }

    /// The texts of this as it was given, and as it is `described`. A context of many calls counts in each.
    fn bytes(&self, described: &Described) -> usize {
        let names = [&self.actor, &self.on_behalf_of, &self.site, &self.service];
        let texts = [&self.request_id, &self.session, &self.user_agent, &self.url];
        size_of::<Self>()
            + names.into_iter().map(HeapBytes::heap_bytes).sum::<usize>()
            + texts.into_iter().map(HeapBytes::heap_bytes).sum::<usize>()
            + self.correlation_id.heap_bytes()
            + self.actor_details.heap_bytes()
            + self.extra.heap_bytes()
            + self.cuts.heap_bytes()
            + described.members.len()
            + described.extra.heap_bytes()
            + described.whole.heap_bytes()
            + described.cuts.heap_bytes()
    }
}

fn member(
    members: &mut String,
    cuts: &mut Vec<Truncation>,
    rules: &Rules,
    name: &str,
    value: &impl Serialize,
) {
    write_key(members, name);
    if rules.mask.matches(name) {
        capture::write_redacted(members);
    } else {
        capture::write_serialize(members, cuts, &format!("context.{name}"), rules, value);
    }
    members.push(',');
}

/// The record's context where there is none but the fields of the call itself.
pub(crate) fn extra_only(fields: Vec<(String, String)>) -> Option<Json> {
    (!fields.is_empty()).then(|| object("", &fields))
}

fn object(members: &str, extra: &[(String, String)]) -> Json {
    let mut json = String::with_capacity(members.len() + 16);
    json.push('{');
    json.push_str(members);
    if extra.is_empty() {
        json.truncate(json.len().max(2) - 1);
    } else {
        json.push_str(r#""extra":{"#);
        for (at, (key, value)) in extra.iter().enumerate() {
            if at > 0 {
                json.push(',');
            }
            write_key(&mut json, key);
            json.push_str(value);
        }
        json.push('}');
    }
    json.push('}');
    Json::trusted(json)
}
