//! [`Encoder`]: the parts of a record that are stored as text, but are not text in [`Record`].
//!
//! The text is the canonical one of the crate `audit-record`.

use audit_record::Record;
use audit_record::private::text::{Canonical, write_ip};
use uuid::Uuid;

/// Buffers for these columns, reused from record to record.
#[derive(Default)]
pub(crate) struct Encoder {
    id: IdBuffer,
    parent_id: IdBuffer,
    ip: TextBuffer,
    log: TextBuffer,
    error: TextBuffer,
    notes: TextBuffer,
    truncated: TextBuffer,
}

/// The ids and the address as text, and the other columns as JSON. An empty column is `None`.
pub(crate) struct Encoded<'e> {
    pub(crate) id: &'e str,
    pub(crate) parent_id: Option<&'e str>,
    pub(crate) ip: Option<&'e str>,
    pub(crate) log: Option<&'e str>,
    pub(crate) error: Option<&'e str>,
    pub(crate) notes: Option<&'e str>,
    pub(crate) truncated: Option<&'e str>,
}

impl Encoder {
    pub(crate) fn encode(&mut self, record: &Record) -> Encoded<'_> {
        Encoded {
            id: self.id.fill(record.id),
            parent_id: record.parent_id.map(|id| self.parent_id.fill(id)),
            ip: record.ip.map(|ip| self.ip.fill(|text| write_ip(text, ip))),
            log: self.log.fill_canonical(&record.log),
            error: self.error.fill_canonical(&record.error),
            notes: self.notes.fill_canonical(&record.notes),
            truncated: self.truncated.fill_canonical(&record.truncated),
        }
    }
}

/// A buffer for the text of an id, as it is stored and as the views show it.
pub(crate) struct IdBuffer([u8; uuid::fmt::Hyphenated::LENGTH]);

impl Default for IdBuffer {
    fn default() -> Self {
        Self([0; uuid::fmt::Hyphenated::LENGTH])
    }
}

impl IdBuffer {
    pub(crate) fn fill(&mut self, id: Uuid) -> &str {
        id.hyphenated().encode_lower(&mut self.0)
    }
}

/// A buffer for the text of one column.
#[derive(Default)]
struct TextBuffer(String);

/// A buffer that one long log has made larger than this, in bytes, is shrunk again.
const MAX_KEPT_BYTES: usize = 64 * 1024;

impl TextBuffer {
    fn fill_canonical(&mut self, value: &impl Canonical) -> Option<&str> {
        if value.is_absent() { None } else { Some(self.fill(|text| value.write(text))) }
    }

    fn fill(&mut self, write: impl FnOnce(&mut String)) -> &str {
        self.0.clear();
        self.0.shrink_to(MAX_KEPT_BYTES);
        write(&mut self.0);
        &self.0
    }
}
