//! The state of a running call, shared by its function, its log, and the calls made in it.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};

use tracing::level_filters::LevelFilter;
use uuid::Uuid;

use super::watch::Register;
use crate::capture::Rules;
use crate::context::ContextData;
use crate::recorder::RecorderRef;
use crate::site::CaptureLevel;
use crate::{CorrelationId, FieldChange, Json, LogEntry, Note, Truncation};

/// A running call.
pub(crate) struct CallShared {
    pub(crate) id: Uuid,
    pub(crate) action: Cow<'static, str>,
    pub(crate) recorder: RecorderRef,
    pub(crate) context: Option<Arc<ContextData>>,
    pub(crate) capture: CaptureLevel,
    pub(crate) log_level: LevelFilter,
    pub(crate) started: Instant,
    /// Microseconds since 1970.
    pub(crate) started_at: i64,
    /// Objects whose changes belong to this call, or to one around it.
    pub(super) watched: Register,
    lineage: OnceLock<Lineage>,
    state: Mutex<CallState>,
}

/// Where a call stands in the tree.
#[derive(Clone)]
pub(crate) struct Lineage {
    pub(crate) parent: Option<Uuid>,
    /// The outermost call's id.
    pub(crate) root: Uuid,
    pub(crate) correlation: CorrelationId,
}

/// What is gathered while the call runs.
#[derive(Default)]
pub(crate) struct CallState {
    pub(crate) input: Option<Json>,
    pub(crate) log: Vec<LogEntry>,
    pub(crate) log_bytes: usize,
    /// Events that found the log full.
    pub(crate) log_left_out: u64,
    pub(crate) notes: Vec<Note>,
    pub(crate) notes_left_out: u64,
    pub(crate) reason: Option<String>,
    pub(crate) target: Option<Target>,
    pub(crate) note_bytes: usize,
    /// JSON text by name; a later value of the same name takes the place of the earlier one.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) field_bytes: usize,
    pub(crate) fields_left_out: u64,
    pub(crate) truncated: Vec<Truncation>,
    /// Who did it, where that is not what the context says.
    pub(crate) actor: Option<Arc<str>>,
    pub(crate) changes: Vec<FieldChange>,
    pub(crate) changes_left_out: u64,
    /// The record is made; what comes now comes too late.
    pub(crate) ended: bool,
}

/// Cuts listed for one record; more of them say nothing new.
const CUTS: usize = 256;

impl CallState {
    pub(crate) fn cut(&mut self, cut: Truncation) {
        if self.truncated.len() < CUTS {
            self.truncated.push(cut);
        }
    }
}

/// The object that a call is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) type_name: Cow<'static, str>,
    pub(crate) id: String,
    pub(crate) label: Option<String>,
}

/// When something began, by both clocks.
#[derive(Clone, Copy)]
pub(crate) struct Began {
    pub(crate) instant: Instant,
    /// Microseconds since 1970.
    pub(crate) at: i64,
}

impl Began {
    pub(crate) fn now() -> Self {
        Self { at: unix_micros(SystemTime::now()), instant: Instant::now() }
    }

    /// What began at `instant`, by the time of day now.
    pub(crate) fn since(instant: Instant) -> Self {
        let passed = i64::try_from(instant.elapsed().as_micros()).unwrap_or(i64::MAX);
        Self { at: unix_micros(SystemTime::now()).saturating_sub(passed), instant }
    }
}

impl CallShared {
    pub(crate) fn new(
        recorder: RecorderRef,
        action: Cow<'static, str>,
        capture: CaptureLevel,
        log_level: LevelFilter,
        began: Began,
        context: Option<Arc<ContextData>>,
        parent: Option<&Arc<CallShared>>,
    ) -> Self {
        let call = Self {
            id: crate::id::record_id(began.at),
            action,
            recorder,
            capture,
            log_level,
            started: began.instant,
            started_at: began.at,
            watched: Register::default(),
            lineage: OnceLock::new(),
            state: Mutex::default(),
            context,
        };
        if let Some(parent) = parent {
            call.descends_from(parent);
        }
        call
    }

    /// Makes this call a child of `parent`, unless it already has one.
    pub(crate) fn descends_from(&self, parent: &CallShared) {
        self.watched.inherit(&parent.watched);
        let _ = self.lineage.set(Lineage {
            parent: Some(parent.id),
            root: parent.lineage().root,
            correlation: self
                .context_correlation()
                .unwrap_or_else(|| parent.lineage().correlation.clone()),
        });
    }

    pub(crate) fn lineage(&self) -> &Lineage {
        self.lineage.get_or_init(|| Lineage {
            parent: None,
            root: self.id,
            correlation: self.context_correlation().unwrap_or(CorrelationId::Uuid(self.id)),
        })
    }

    fn context_correlation(&self) -> Option<CorrelationId> {
        self.context.as_ref().and_then(|context| context.correlation_id.clone())
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.recorder.rules
    }

    /// The state; whoever panicked while holding it left it whole, for each change of it is one step.
    pub(crate) fn state(&self) -> MutexGuard<'_, CallState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Microseconds since 1970; negative before.
pub(crate) fn unix_micros(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
    }
}
