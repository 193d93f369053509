//! Records that are kept in memory until they are taken.

use audit_record::Record;
use audit_record::private::size::size_of_record;

/// Records that wait to be taken.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) records: Vec<Record>,
    bytes: usize,
    /// What found no room any more.
    pub(crate) dropped: u64,
}

impl Kept {
    pub(crate) fn push(&mut self, record: Record, limit: usize) {
        let size = size_of_record(&record);
        if self.bytes > 0 && self.bytes + size > limit {
            self.dropped += 1;
        } else {
            self.bytes += size;
            self.records.push(record);
        }
    }
}
