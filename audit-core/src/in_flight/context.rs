//! [`ContextData`]: the values of a context, and how they become part of a record.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use audit_record::private::json::{write_key, write_str};
use audit_record::private::size::HeapBytes;
use audit_record::{CorrelationId, Json, Record, Truncation};
use serde::Serialize;

use crate::capture::{self, Rules};
use crate::in_flight::Url;
use crate::in_flight::state::{MAX_ANNOTATION_BYTES, MAX_ANNOTATIONS};
use crate::recorder::{Recorder, RecorderRef};

/// The values of a context.
#[derive(Default)]
pub(crate) struct ContextData {
    pub(crate) actor: Option<Arc<str>>,
    pub(crate) actor_details: Option<ContextValue>,
    pub(crate) on_behalf_of: Option<Arc<str>>,
    pub(crate) ip: Option<IpAddr>,
    pub(crate) site: Option<Arc<str>>,
    pub(crate) service: Option<Arc<str>>,
    pub(crate) correlation_id: Option<CorrelationId>,
    pub(crate) request_id: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) url: Option<Url>,
    pub(crate) extra: Vec<(String, ContextValue)>,
    /// How many fields found no room in `extra`.
    pub(crate) extra_left_out: u64,
    pub(crate) recorder: Option<RecorderRef>,
    /// The values that have no column of their own, as JSON. The first call that needs them renders
    /// them by the rules of its recorder, whose generation is kept beside them.
    pub(crate) rendered: OnceLock<(u64, RenderedContext)>,
}

/// A value that was captured when it was set.
#[derive(Clone)]
pub(crate) struct ContextValue {
    pub(crate) json: Json,
    /// What was cut.
    pub(crate) cuts: Vec<Truncation>,
}

/// The column `context` of a record, in parts.
pub(crate) struct RenderedContext {
    /// `"request_id":…,` and so on, without `extra`.
    members: String,
    /// Key and JSON text.
    extra: Vec<(String, String)>,
    /// The whole object, for calls that add no fields.
    whole: Option<Json>,
    cuts: Vec<Truncation>,
    /// The memory of the whole context.
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
            extra_left_out: self.extra_left_out,
            // The copy is made to be changed.
            rendered: OnceLock::new(),
        }
    }
}

impl ContextData {
    /// Sets the field `key`. Too many fields, or too large ones, are only counted.
    pub(crate) fn set_extra(&mut self, key: String, value: ContextValue) {
        self.extra.retain(|(known, _)| *known != key);
        let bytes = |(key, value): &(String, ContextValue)| key.len() + value.json.as_str().len();
        let field = (key, value);
        let total = self.extra.iter().map(bytes).sum::<usize>() + bytes(&field);
        if self.extra.len() < MAX_ANNOTATIONS && total <= MAX_ANNOTATION_BYTES {
            self.extra.push(field);
        } else {
            self.extra_left_out += 1;
        }
    }

    /// Sets the values of this context in `record`, and `own`, the values of the record itself.
    pub(crate) fn add_to_record(&self, record: &mut Record, recorder: &Recorder, own: OwnContext) {
        record.actor.clone_from(&self.actor);
        record.on_behalf_of.clone_from(&self.on_behalf_of);
        record.ip = self.ip;
        if self.site.is_some() {
            record.site.clone_from(&self.site);
        }
        if self.service.is_some() {
            record.service.clone_from(&self.service);
        }
        let (generation, rendered) = self.rendered(recorder);
        let rendered_here;
        let rendered = if *generation == recorder.generation() {
            rendered
        } else {
            rendered_here = self.render(&recorder.rules);
            &rendered_here
        };
        record.truncated.extend_from_slice(&rendered.cuts);
        record.context = if own.is_empty() {
            rendered.whole.clone()
        } else {
            let mut extra = rendered.extra.clone();
            for (key, value) in own.fields {
                extra.retain(|(known, _)| *known != key);
                extra.push((key, value));
            }
            let mut members = rendered.members.clone();
            parent_action_member(&mut members, own.parent_action.as_deref());
            Some(object(&members, &extra))
        };
    }

    /// The memory of this context in bytes, if it has been rendered by the rules of `recorder`.
    /// Then [`add_to_record`](Self::add_to_record) only copies, and may run on another thread.
    pub(crate) fn rendered_bytes(&self, recorder: &Recorder) -> Option<usize> {
        let (generation, rendered) = self.rendered(recorder);
        (*generation == recorder.generation()).then_some(rendered.bytes)
    }

    /// The values without a column, and the generation of the recorder that rendered them first.
    fn rendered(&self, recorder: &Recorder) -> &(u64, RenderedContext) {
        self.rendered.get_or_init(|| (recorder.generation(), self.render(&recorder.rules)))
    }

    fn render(&self, rules: &Rules) -> RenderedContext {
        let (mut members, mut cuts) = (String::new(), Vec::new());
        for (path, text) in [
            ("context.request_id", &self.request_id),
            ("context.session", &self.session),
            ("context.user_agent", &self.user_agent),
        ] {
            cuts.extend(text.as_deref().and_then(|text| capture::identifier_cut(path, text)));
        }
        cuts.extend(self.url.as_ref().and_then(Url::cut));
        let mut texts = |name: &str, text: Option<&str>| {
            if let Some(text) = text {
                member(&mut members, &mut cuts, rules, name, &text);
            }
        };
        texts("request_id", self.request_id.as_deref());
        texts("session", self.session.as_deref());
        texts("user_agent", self.user_agent.as_deref());
        texts("url", self.url.as_ref().map(|url| url.masked(rules)).as_deref());
        if let Some(ContextValue { json, cuts: own_cuts }) = &self.actor_details {
            cuts.extend_from_slice(own_cuts);
            member(&mut members, &mut cuts, rules, "actor_details", &json.exactly());
        }
        let extra: Vec<(String, String)> = self
            .extra
            .iter()
            .map(|(key, value)| {
                let mut json = String::new();
                if rules.mask.matches(key) {
                    capture::write_redacted(&mut json);
                } else {
                    cuts.extend_from_slice(&value.cuts);
                    let path = format!("context.extra.{key}");
                    capture::ValueWriter::new(&mut json, &mut cuts, &path, rules)
                        .serialize(&value.json.exactly());
                }
                (key.clone(), json)
            })
            .collect();
        if self.extra_left_out > 0 {
            let kept = extra.len() as u64;
            let was = kept + self.extra_left_out;
            cuts.push(Truncation::new("context.extra", "entries", kept, Some(was)));
        }
        let whole = (!members.is_empty() || !extra.is_empty()).then(|| object(&members, &extra));
        let mut rendered = RenderedContext { members, extra, whole, cuts, bytes: 0 };
        rendered.bytes = self.bytes(&rendered);
        rendered
    }

    /// The memory of the values as they were given and as they are `rendered`. A context that many
    /// calls share counts in each of them.
    fn bytes(&self, rendered: &RenderedContext) -> usize {
        let names = [&self.actor, &self.on_behalf_of, &self.site, &self.service];
        let texts = [&self.request_id, &self.session, &self.user_agent];
        let values = self.extra.iter().map(|(key, value)| key.len() + value.bytes());
        size_of::<Self>()
            + names.into_iter().map(HeapBytes::heap_bytes).sum::<usize>()
            + texts.into_iter().map(HeapBytes::heap_bytes).sum::<usize>()
            + self.correlation_id.heap_bytes()
            + self.url.as_ref().map_or(0, |url| url.text().len())
            + self.actor_details.as_ref().map_or(0, ContextValue::bytes)
            + values.sum::<usize>()
            + rendered.members.len()
            + rendered.extra.heap_bytes()
            + rendered.whole.heap_bytes()
            + rendered.cuts.heap_bytes()
    }
}

impl ContextValue {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.json.heap_bytes() + self.cuts.heap_bytes()
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
        capture::ValueWriter::new(members, cuts, &format!("context.{name}"), rules)
            .serialize(value);
    }
    members.push(',');
}

/// The parts of the column `context` that belong to one record.
pub(crate) struct OwnContext {
    /// The action of the call around a change.
    pub(crate) parent_action: Option<Cow<'static, str>>,
    /// Key and JSON text. They override fields of the context.
    pub(crate) fields: Vec<(String, String)>,
}

impl OwnContext {
    fn is_empty(&self) -> bool {
        self.parent_action.is_none() && self.fields.is_empty()
    }

    /// The column `context` of a record without another context.
    pub(crate) fn into_json(self) -> Option<Json> {
        let mut members = String::new();
        parent_action_member(&mut members, self.parent_action.as_deref());
        (!self.is_empty()).then(|| object(&members, &self.fields))
    }
}

fn parent_action_member(members: &mut String, action: Option<&str>) {
    if let Some(action) = action {
        write_key(members, "parent_action");
        write_str(members, action);
        members.push(',');
    }
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
