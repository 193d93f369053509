//! [`HeapBytes`]: how many bytes the parts of a record take in memory.
//!
//! The queue and other buffers use it for their limits in bytes.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::Json;
use crate::parts::{
    CorrelationId, ErrorInfo, FieldChange, Kind, LogEntry, Note, Outcome, Truncation,
};

/// A value whose heap memory can be counted.
pub trait HeapBytes {
    /// How many bytes the value takes beside its own `size_of`.
    fn heap_bytes(&self) -> usize;
}

impl<T: HeapBytes> HeapBytes for Option<T> {
    #[inline]
    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, T::heap_bytes)
    }
}

impl<T: HeapBytes> HeapBytes for Vec<T> {
    #[inline]
    fn heap_bytes(&self) -> usize {
        self.iter().map(|element| size_of::<T>() + element.heap_bytes()).sum()
    }
}

impl<A: HeapBytes, B: HeapBytes> HeapBytes for (A, B) {
    #[inline]
    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes() + self.1.heap_bytes()
    }
}

macro_rules! texts {
    ($($ty:ty)*) => {$(
        impl HeapBytes for $ty {
            #[inline]
            fn heap_bytes(&self) -> usize {
                self.len()
            }
        }
    )*};
}

texts! { String Arc<str> Cow<'static, str> }

macro_rules! inline {
    ($($ty:ty)*) => {$(
        impl HeapBytes for $ty {
            #[inline]
            fn heap_bytes(&self) -> usize {
                0
            }
        }
    )*};
}

inline! { u64 Uuid IpAddr DateTime<Utc> Kind Outcome }

impl HeapBytes for Json {
    #[inline]
    fn heap_bytes(&self) -> usize {
        self.as_str().len()
    }
}

impl HeapBytes for CorrelationId {
    #[inline]
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Uuid(_) => 0,
            Self::Text(text) => text.len(),
        }
    }
}

macro_rules! structs {
    ($($ty:ty { $($field:ident)+ })*) => {$(
        impl HeapBytes for $ty {
            #[inline]
            fn heap_bytes(&self) -> usize {
                0 $( + self.$field.heap_bytes() )+
            }
        }
    )*};
}

structs! {
    LogEntry { level target message fields }
    ErrorInfo { type_name variant message sources location }
    Note { title description }
    Truncation { path unit reason }
    FieldChange { target_type target_id field before after }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::Record;
    use crate::record::size_of_record;
    use crate::{ChangeKind, Kind};

    const LONG: usize = 1_000_000;

    fn long() -> String {
        "x".repeat(LONG)
    }

    fn long_json() -> Option<Json> {
        Some(Json::trusted(serde_json::json!(long()).to_string()))
    }

    /// By how many bytes `fill` makes an empty record larger.
    fn added(fill: impl FnOnce(&mut Record)) -> usize {
        let mut record = Record::new(Kind::Call, "", Utc::now());
        let empty = size_of_record(&record);
        fill(&mut record);
        size_of_record(&record) - empty
    }

    #[test]
    fn an_empty_record_takes_its_own_size() {
        assert_eq!(size_of_record(&Record::new(Kind::Call, "", Utc::now())), size_of::<Record>());
    }

    #[test]
    fn each_text_counts_with_its_length() {
        let fills: [fn(&mut Record); 13] = [
            |record| record.action = long().into(),
            |record| record.method = long().into(),
            |record| record.actor = Some(long().into()),
            |record| record.on_behalf_of = Some(long().into()),
            |record| record.site = Some(long().into()),
            |record| record.service = Some(long().into()),
            |record| record.target_type = Some(long().into()),
            |record| record.target_id = Some(long()),
            |record| record.target_label = Some(long()),
            |record| record.correlation_id = CorrelationId::Text(long().into()),
            |record| record.traceback = Some(long()),
            |record| record.reason = Some(long()),
            |record| record.error = Some(ErrorInfo::new(long(), "", Vec::new(), None)),
        ];
        assert_eq!(fills.map(added), [LONG; 13]);
    }

    #[test]
    fn each_json_value_counts_with_its_length() {
        let fills: [fn(&mut Record); 3] = [
            |record| record.input = long_json(),
            |record| record.output = long_json(),
            |record| record.context = long_json(),
        ];
        assert_eq!(fills.map(added), [LONG + 2; 3]);
    }

    #[test]
    fn elements_of_lists_count_with_their_content() {
        let error = added(|record| {
            let sources = vec![long(), long()];
            record.error = Some(ErrorInfo::new("", long(), sources, Some(long())));
        });
        assert_eq!(error, 4 * LONG + 2 * size_of::<String>());
        let log = added(|record| {
            record.log = vec![LogEntry::new(Utc::now(), long(), long(), long(), long_json())];
        });
        assert_eq!(log, 4 * LONG + 2 + size_of::<LogEntry>());
        let notes = added(|record| record.notes = vec![Note::new(long(), long())]);
        assert_eq!(notes, 2 * LONG + size_of::<Note>());
        let truncated =
            added(|record| record.truncated = vec![Truncation::new(long(), long(), 0, None)]);
        assert_eq!(truncated, 2 * LONG + size_of::<Truncation>());
        let at = DateTime::UNIX_EPOCH;
        let changes = added(|record| {
            let (before, after) = (long_json(), long_json());
            record.changes = vec![FieldChange::new(
                long(),
                long(),
                ChangeKind::Changed,
                long(),
                before,
                after,
                at,
            )];
        });
        assert_eq!(changes, 5 * LONG + 4 + size_of::<FieldChange>());
    }
}
