//! [`append`]: records a [`Record`] that the program has made itself.

use audit_record::{Error, Record};

use crate::current;
use crate::in_flight::limit_identifiers;

/// Passes `record` to the recorder that applies here. It can be an event, for example, or a record
/// that was imported from elsewhere.
///
/// The record is stored as it is: nothing in it is masked or added, not even the actor of the
/// current [`Context`](crate::Context). Mask secrets before you call this. Only `seq` and
/// `session_id` are set by the store, and the time that this function waits is added to `wait_us`.
/// Names and ids, such as `action`, `actor` and `target_id`, are cut at 1,024 bytes, because the
/// trail keeps each name forever.
///
/// The recorder is that of the context, otherwise the installed one. This function waits like an
/// audited call, according to the recorder's [`durability`](crate::AuditBuilder::durability).
///
/// `Ok` means that a recorder applies, not that the record is stored. A record that the queue drops,
/// or whose wait fails, is counted and reported as for a call; see [`Counters`](crate::Counters).
///
/// ```
/// use audited::record::Kind;
/// use audited::{Record, testing};
///
/// let records = testing::capture(|| {
///     let mut record = Record::new(Kind::Event, "open the vault", chrono::Utc::now());
///     record.actor = Some("alice".into());
///     audited::append(record).expect("there is a recorder");
/// });
/// assert_eq!(records[0].kind, Kind::Event);
///
/// // Outside, there is no recorder:
/// let record = Record::new(Kind::Event, "open the vault", chrono::Utc::now());
/// assert!(audited::append(record).is_err());
/// ```
///
/// # Errors
///
/// When no recorder applies here, so that the record is not stored:
///
/// - there is neither an installed recorder nor one in the context;
/// - it is [switched off](crate::Audit::set_enabled) or [closed](crate::Audit::shutdown);
/// - this process was forked from the one that built it;
/// - this thread does work for the recorder itself, as in a [`Store`](audit_record::store::Store),
///   or in a subscriber that handles a warning of the recorder.
pub fn append(mut record: Record) -> Result<(), Error> {
    let Some(recorder) = current::active_recorder() else {
        return Err(Error::permanent(if current::is_switched_off() {
            "the record was not appended: the recorder is switched off"
        } else {
            "the record was not appended: no recorder applies here; install one, or name one by \
             `Context::recorder`"
        }));
    };
    limit_identifiers(&mut record);
    let is_open = recorder.is_open();
    // A closed recorder counts the record as dropped, as it does for a call.
    if let Some(receipt) = recorder.offer(Box::new(record), recorder.durability()) {
        recorder.wait_until_stored(receipt);
    }
    if is_open {
        Ok(())
    } else {
        Err(Error::closed("the record was not appended: the recorder is closed"))
    }
}
