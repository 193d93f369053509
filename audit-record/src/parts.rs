//! The types of the columns of a record, such as [`Kind`], [`LogEntry`] and [`FieldChange`].

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Json;
use crate::name::named_enum;

named_enum! {
    /// What a [`Record`](crate::Record) is about.
    Kind {
        /// A call of an audited function, or of `audited::execute`.
        Call = "call",
        /// A change of an object's fields outside any call.
        Change = "change",
        /// Something that happened, as the program reports it.
        Event = "event",
        /// A request that the program served.
        Request = "request",
        /// A call to another system.
        External = "external",
        /// A login, a logout, or an attempt at one.
        Login = "login",
        /// Data that left the system.
        Export = "export",
        /// Something about the running system itself.
        System = "system",
        /// A comment on another record, added later.
        Note = "note",
        /// Lost records: how many, and why; see [`Gap`](crate::Gap).
        Gap = "gap",
    }
}

named_enum! {
    /// How a call ended.
    Outcome {
        /// It returned, and neither the value nor the program says that it failed.
        Success = "success",
        /// It returned `Err`, or another value that is known to be a failure.
        Failure = "failure",
        /// It panicked.
        Panic = "panic",
        /// Its future was dropped after its first poll and before its end.
        Cancelled = "cancelled",
        /// It started, and its end is not known.
        Unknown = "unknown",
    }
}

/// The id that all records of one operation share. It is the id of the outermost call, or one that
/// the context gives, such as a trace id.
///
/// ```
/// use audited::record::CorrelationId;
///
/// let id = CorrelationId::from("0192f0c1-7c1e-7cc3-9d4e-2f5b6c7d8e9f");
/// assert!(matches!(id, CorrelationId::Uuid(_)));
/// assert_eq!(id.to_string(), "0192f0c1-7c1e-7cc3-9d4e-2f5b6c7d8e9f");
/// assert_eq!(CorrelationId::from("order 17").to_string(), "order 17");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CorrelationId {
    /// A UUID; stored in 16 bytes.
    Uuid(Uuid),
    /// Any other text.
    Text(Arc<str>),
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(id) => id.fmt(f),
            Self::Text(text) => f.pad(text),
        }
    }
}

impl From<Uuid> for CorrelationId {
    fn from(id: Uuid) -> Self {
        Self::Uuid(id)
    }
}

impl From<&str> for CorrelationId {
    /// Text in the usual form of a UUID (36 lower-case characters) becomes [`CorrelationId::Uuid`].
    fn from(text: &str) -> Self {
        match Uuid::try_parse(text) {
            Ok(id) if id.hyphenated().to_string() == text => Self::Uuid(id),
            _ => Self::Text(text.into()),
        }
    }
}

impl From<String> for CorrelationId {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl FromStr for CorrelationId {
    type Err = Infallible;

    /// Like `From<&str>`: it never fails.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text))
    }
}

impl Serialize for CorrelationId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CorrelationId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer).map(|text| Self::from(&*text))
    }
}

/// One `tracing` event of a call.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct LogEntry {
    /// When it was emitted.
    pub time: DateTime<Utc>,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: Cow<'static, str>,
    /// The target of the event: by default the module that emitted it.
    pub target: Cow<'static, str>,
    /// The message.
    pub message: String,
    /// The other fields, as a JSON object.
    #[serde(default, deserialize_with = "crate::json::present")]
    pub fields: Option<Json>,
}

/// The error that a call returned, or the panic that ended it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ErrorInfo {
    /// The type of the error with its path. Without an error: `panic`, an HTTP status such as
    /// `404 Not Found`, or `failed_if` or `outcome` if one of these decided.
    #[serde(rename = "type")]
    pub type_name: Cow<'static, str>,
    /// The variant, if the type is an enum and its `Debug` text begins with the variant's name.
    pub variant: Option<String>,
    /// The message.
    pub message: String,
    /// The messages of its causes, the direct cause first.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Where it panicked: `src/bank.rs:17:9`. `None` for an error.
    pub location: Option<String>,
}

/// A note that was attached during a call with `audited::note`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Note {
    /// A short heading.
    pub title: String,
    /// The text.
    pub description: String,
}

/// A value that was cut to fit a limit, or that could not be recorded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Truncation {
    /// The path of the value: `input.body`, `input.rows[3].name`, `output`, `log`.
    pub path: String,
    /// What was counted: `bytes`, `elements`, `entries`, `levels`, `values`, `objects`, `locks`, …
    pub unit: Cow<'static, str>,
    /// How much was kept.
    pub kept: u64,
    /// The original size; `None` if the rest of the value was not read, so that its size is
    /// unknown.
    pub was: Option<u64>,
    /// Why the value was not recorded; `None` if it was cut to fit a limit.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Truncation {
    /// Creates one from its parts, without a reason.
    #[must_use]
    pub fn new(
        path: impl Into<String>,
        unit: impl Into<Cow<'static, str>>,
        kept: u64,
        was: Option<u64>,
    ) -> Self {
        Self { path: path.into(), unit: unit.into(), kept, was, reason: None }
    }

    /// The value at `path` is not recorded, for this reason.
    ///
    /// ```
    /// use audited::record::Truncation;
    ///
    /// let lost = Truncation::not_recorded("input.file", "path contains invalid UTF-8 characters");
    /// assert_eq!((&*lost.unit, lost.kept, lost.was), ("values", 0, Some(1)));
    /// ```
    #[must_use]
    pub fn not_recorded(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::new(path, "values", 0, Some(1)) }
    }
}

named_enum! {
    /// What happened to an object.
    ChangeKind {
        /// It was stored for the first time.
        Created = "created",
        /// A field of it changed.
        Changed = "changed",
        /// It was deleted; `before` holds the last value of the field.
        Deleted = "deleted",
    }
}

/// The change of one field of one object.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct FieldChange {
    /// The object's type.
    pub target_type: Cow<'static, str>,
    /// The object's id.
    pub target_id: String,
    /// What happened to the object.
    pub change: ChangeKind,
    /// The field, or the path to the value inside it.
    pub field: Cow<'static, str>,
    /// The value before; `None` if there was none.
    #[serde(default, deserialize_with = "crate::json::present")]
    pub before: Option<Json>,
    /// The value after; `None` if there is none any more.
    #[serde(default, deserialize_with = "crate::json::present")]
    pub after: Option<Json>,
    /// When it took effect, by the system clock, to the microsecond.
    ///
    /// It sorts the changes of one process correctly: a later change has a later time, and only the
    /// fields of one change share a time. In a call, it is later than the call's `started_at`.
    pub changed_at: DateTime<Utc>,
}

impl ErrorInfo {
    /// Creates one from its parts, without a variant.
    #[must_use]
    pub fn new(
        type_name: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        sources: Vec<String>,
        location: Option<String>,
    ) -> Self {
        let (type_name, message) = (type_name.into(), message.into());
        Self { type_name, variant: None, message, sources, location }
    }
}

macro_rules! constructors {
    ($( $name:ident { $($field:ident : $ty:ty),* $(,)? } )*) => {$(
        impl $name {
            /// Creates one from its parts.
            #[must_use]
            pub fn new($($field: $ty),*) -> Self {
                Self { $($field: $field.into()),* }
            }
        }
    )*};
}

constructors! {
    LogEntry {
        time: DateTime<Utc>, level: impl Into<Cow<'static, str>>,
        target: impl Into<Cow<'static, str>>, message: impl Into<String>, fields: Option<Json>,
    }
    Note { title: impl Into<String>, description: impl Into<String> }
    FieldChange {
        target_type: impl Into<Cow<'static, str>>, target_id: impl Into<String>, change: ChangeKind,
        field: impl Into<Cow<'static, str>>, before: Option<Json>, after: Option<Json>,
        changed_at: DateTime<Utc>,
    }
}
