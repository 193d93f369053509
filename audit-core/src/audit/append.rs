//! [`append`]: a record that the program has made itself.

use audit_record::Record;

use crate::current;

/// Hands a record that the program has made itself to the recorder in place, as it is: an event, or what has been
/// read from elsewhere. Nothing is added to it, and nothing in it is masked. Without a recorder it does nothing.
///
/// It waits as an audited call does, by the recorder's [`durability`](crate::AuditBuilder::durability).
///
/// ```
/// use audited::{Kind, Record, testing};
///
/// let records = testing::capture(|| {
///     let mut record = Record::new(Kind::Event, "open the vault", chrono::Utc::now());
///     record.actor = Some("alice".into());
///     audited::append(record);
/// });
/// assert_eq!(records[0].kind, Kind::Event);
/// ```
pub fn append(record: Record) {
    if let Some(recorder) = current::active_recorder()
        && let Some(receipt) = recorder.offer(Box::new(record), recorder.durability)
    {
        recorder.confirm(receipt);
    }
}
