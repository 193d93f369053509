//! [`Gap`]: how lost records are reported in the trail.
//!
//! The recorder reports what it had to drop, and a store reports what a dead process has lost. Both
//! write a record of kind [`Kind::Gap`] that [`Gap::to_record`] makes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

use crate::json::write::write_str;
use crate::name::named_enum;
use crate::text::{Canonical, member};
use crate::{Error, ErrorInfo, Json, Kind, Outcome, Record};

/// Records that were offered to the recorder and are missing in the trail: how many, from when, and
/// why.
///
/// A gap is stored as a record of kind [`Kind::Gap`], before any newer record. Its `output` is this
/// struct as JSON; [`Gap::of`] reads it back.
///
/// ```
/// use audited::record::Gap;
///
/// let mut gap = Gap::new(3, "the queue was full or closed");
/// gap.actions.push(("pay invoice".into(), 3));
/// let record = gap.to_record(chrono::Utc::now());
/// assert_eq!(
///     record.output.as_ref().map(|output| output.as_str()),
///     Some(r#"{"records":3,"actions":{"pay invoice":3}}"#),
/// );
/// assert_eq!(Gap::of(&record)?, Some(gap));
/// # Ok::<(), audited::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// How many records are missing; at most, if [`at_most`](Self::at_most) is set.
    pub records: u64,
    /// Whether `records` is an upper bound. After a kill, the last records may have been stored
    /// without being counted.
    pub at_most: bool,
    /// How many of `records` were dropped because the queue was full or closed, where that is
    /// counted separately.
    pub dropped: Option<u64>,
    /// How the number was found, if not by the recorder that lost the records.
    pub basis: Option<GapBasis>,
    /// When the first of them started; for a process that died, when it last stored a batch.
    pub from: Option<DateTime<Utc>>,
    /// When the last of them started; for a process that died, when the loss was found.
    pub to: Option<DateTime<Utc>>,
    /// How many records of each action are missing, as far as that is known. Actions that did not
    /// fit are counted under `(others)`.
    pub actions: Vec<(String, u64)>,
    /// The process id of the process that died.
    pub pid: Option<u64>,
    /// The recorder session of the process that died.
    pub session_id: Option<Uuid>,
    /// The service of the process that died.
    pub service: Option<String>,
    /// Why they are missing.
    pub reason: String,
}

named_enum! {
    /// How the number of a [`Gap`] was found.
    GapBasis {
        /// By counters that outlived the process.
        Counted = "counted",
        /// It is the limit of the queue of a process that left no counters.
        QueueLimit = "queue limit",
        /// As [`QueueLimit`](Self::QueueLimit), and the machine was restarted since: records that
        /// were stored shortly before may be missing as well.
        QueueLimitOtherBoot = "queue limit, other boot",
    }
}

/// A key that is present, with the value `true`, only if the flag is set.
struct Flag(bool);

impl Canonical for Flag {
    fn is_absent(&self) -> bool {
        !self.0
    }

    fn write(&self, out: &mut String) {
        out.push_str("true");
    }
}

impl Canonical for GapBasis {
    fn write(&self, out: &mut String) {
        write_str(out, self.as_str());
    }
}

impl Gap {
    /// A gap of `records` records that are missing because of `reason`.
    #[must_use]
    pub fn new(records: u64, reason: impl Into<String>) -> Self {
        Self {
            records,
            at_most: false,
            dropped: None,
            basis: None,
            from: None,
            to: None,
            actions: Vec::new(),
            pid: None,
            session_id: None,
            service: None,
            reason: reason.into(),
        }
    }

    /// Makes the record that reports this gap, which was found at `now`.
    #[must_use]
    pub fn to_record(&self, now: DateTime<Utc>) -> Record {
        let mut record = Record::new(Kind::Gap, "records missing", now);
        record.method = "audited".into();
        record.outcome = Outcome::Unknown;
        record.service = self.service.as_deref().map(Into::into);
        record.output = Some(self.output());
        let at_most = if self.at_most { "at most " } else { "" };
        let message = format!("{at_most}{} records are missing: {}", self.records, self.reason);
        record.error = Some(ErrorInfo::new("gap", message, Vec::new(), None));
        record.reason = Some(self.reason.clone());
        record
    }

    fn output(&self) -> Json {
        let mut out = String::from("{");
        member(&mut out, "records", &self.records);
        member(&mut out, "at_most", &Flag(self.at_most));
        member(&mut out, "dropped", &self.dropped);
        member(&mut out, "basis", &self.basis);
        member(&mut out, "from", &self.from);
        member(&mut out, "to", &self.to);
        if !self.actions.is_empty() {
            out.push_str(r#","actions":{"#);
            for (n, (action, records)) in self.actions.iter().enumerate() {
                out.push_str(if n > 0 { "," } else { "" });
                write_str(&mut out, action);
                out.push(':');
                records.write(&mut out);
            }
            out.push('}');
        }
        member(&mut out, "pid", &self.pid);
        member(&mut out, "session_id", &self.session_id);
        member(&mut out, "service", &self.service);
        out.push('}');
        Json::trusted(out)
    }

    /// Reads the gap that `record` reports; `None` if the record is of another kind.
    ///
    /// # Errors
    ///
    /// If the record is of kind `gap`, and its `output` is missing or has another form. A `basis` that
    /// this version does not know is read as `None`.
    pub fn of(record: &Record) -> Result<Option<Self>, Error> {
        if record.kind != Kind::Gap {
            return Ok(None);
        }
        let Some(output) = &record.output else {
            return Err(unreadable("it is missing"));
        };
        if !output.as_str().starts_with('{') {
            return Err(unreadable("it is not an object"));
        }
        let stored: Stored = output.to()?;
        let Some(records) = stored.records.or(stored.records_at_most) else {
            return Err(unreadable("it has no number of `records`"));
        };
        Ok(Some(Self {
            records,
            at_most: stored.at_most || stored.records_at_most.is_some(),
            dropped: stored.dropped,
            basis: stored.basis.and_then(|name| name.parse().ok()),
            from: stored.from,
            to: stored.to,
            actions: stored.actions.0,
            pid: stored.pid,
            session_id: stored.session_id.or(stored.session),
            service: stored.service,
            reason: record.reason.clone().unwrap_or_default(),
        }))
    }
}

fn unreadable(why: &str) -> Error {
    Error::permanent(format!(
        "the `output` of a record of kind `gap` cannot be read: {why}; read the record's `reason` \
         instead"
    ))
}

/// The `output` of a gap. In trails that were written before version 4 of the schema, some keys
/// have other names.
#[derive(Deserialize)]
struct Stored {
    records: Option<u64>,
    records_at_most: Option<u64>,
    #[serde(default)]
    at_most: bool,
    dropped: Option<u64>,
    basis: Option<String>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    #[serde(default)]
    actions: Actions,
    pid: Option<u64>,
    session_id: Option<Uuid>,
    session: Option<Uuid>,
    service: Option<String>,
}

/// A map that keeps the order of its entries.
#[derive(Default)]
struct Actions(Vec<(String, u64)>);

impl<'de> Deserialize<'de> for Actions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Actions;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of actions to numbers of records")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Actions, A::Error> {
                let mut actions = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    actions.push(entry);
                }
                Ok(Actions(actions))
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}
