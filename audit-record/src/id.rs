//! [`record_id`]: makes the ids of records, which are UUIDs of version 7.

use uuid::Uuid;

/// A UUIDv7 for a time in microseconds since 1970, with sub-millisecond precision (RFC 9562,
/// section 6.2, method 3).
///
/// `Uuid::now_v7` takes a lock of the whole process and reads the clock again. Here, the caller has
/// the time already, and the 62 random bits come from a generator of the thread.
pub fn record_id(unix_micros: i64) -> Uuid {
    // A UUIDv7 can't hold a time before 1970.
    let micros = u64::try_from(unix_micros).unwrap_or(0);
    let (millis, rest) = (micros / 1_000, micros % 1_000);
    let fraction = rest * 4_096 / 1_000;
    let high = (millis << 16) | 0x7000 | fraction;
    let low = (fastrand::u64(..) >> 2) | (0b10 << 62);
    Uuid::from_u64_pair(high, low)
}

#[cfg(test)]
mod tests {
    use super::record_id;

    #[test]
    fn is_version_7_and_sorts_by_time() {
        let earlier = record_id(1_795_000_000_000_001);
        let later = record_id(1_795_000_000_000_002);
        assert_eq!(earlier.get_version_num(), 7);
        assert_eq!(earlier.get_variant(), uuid::Variant::RFC4122);
        assert!(earlier < later);
        let (seconds, nanos) = earlier.get_timestamp().expect("version 7 has a time").to_unix();
        assert_eq!((seconds, nanos), (1_795_000_000, 0));
    }

    #[test]
    fn times_before_1970_have_distinct_ids() {
        assert_ne!(record_id(-5), record_id(-5));
    }
}
