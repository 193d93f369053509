//! [`LogTail`]: the latest events of a log that is larger than its limit.

use std::collections::VecDeque;

use audit_record::{LogEntry, Truncation};
use chrono::{DateTime, Utc};

/// Limit of the truncations listed in one record.
pub(super) const MAX_CUTS: usize = 256;
/// What one event counts towards the limit of the log, in addition to its texts.
const EVENT_OVERHEAD_BYTES: usize = 64;

/// The latest events of a log. The last events before a failure say most about it, so a log that is
/// too large keeps its beginning and its end.
#[derive(Clone, Default)]
pub(super) struct LogTail {
    events: VecDeque<TailEvent>,
    bytes: usize,
    left_out: u64,
    /// The time of the first event that was left out.
    left_out_since: Option<DateTime<Utc>>,
}

#[derive(Clone)]
struct TailEvent {
    entry: LogEntry,
    bytes: usize,
    /// What was cut in the event. Its position in the log is not known yet.
    cuts: Vec<Truncation>,
}

/// What an event with these texts counts towards the limit of the log.
pub(super) fn log_event_bytes(target: &str, message: &str, fields: Option<&str>) -> usize {
    EVENT_OVERHEAD_BYTES + target.len() + message.len() + fields.map_or(0, str::len)
}

/// The path of what was cut in the event at position `at` of the log.
pub(super) fn cut_in_log(at: usize, mut cut: Truncation) -> Truncation {
    cut.path = format!("log[{at}].{}", cut.path);
    cut
}

impl LogTail {
    /// Adds an event of `bytes`. The oldest events are left out, so that the rest has at most
    /// `limit` bytes.
    pub(super) fn push(
        &mut self,
        entry: LogEntry,
        bytes: usize,
        cuts: Vec<Truncation>,
        limit: usize,
    ) {
        self.bytes += bytes;
        self.events.push_back(TailEvent { entry, bytes, cuts });
        while self.bytes > limit
            && let Some(oldest) = self.events.pop_front()
        {
            self.bytes -= oldest.bytes;
            self.left_out += 1;
            self.left_out_since.get_or_insert(oldest.entry.time);
        }
    }

    /// The memory of the events, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let cuts = self.events.iter().map(|event| event.cuts.len() * size_of::<Truncation>());
        size_of::<Self>()
            + self.bytes
            + self.events.len() * size_of::<TailEvent>()
            + cuts.sum::<usize>()
    }

    /// Appends the events to `log`, and what was cut to `truncated`, up to [`MAX_CUTS`]. A mark
    /// stands for events that were left out.
    pub(super) fn append_to(self, log: &mut Vec<LogEntry>, truncated: &mut Vec<Truncation>) {
        if let Some(time) = self.left_out_since {
            let kept = (log.len() + self.events.len()) as u64;
            let was = Some(kept + self.left_out);
            truncated.push(Truncation::new("log", "entries", kept, was));
            let mark = format!("… [cut: {} events]", self.left_out);
            log.push(LogEntry::new(time, "INFO", "audited", mark, None));
        }
        for TailEvent { entry, cuts, .. } in self.events {
            let cuts = cuts.into_iter().map(|cut| cut_in_log(log.len(), cut));
            truncated.extend(cuts.take(MAX_CUTS.saturating_sub(truncated.len())));
            log.push(entry);
        }
    }
}
