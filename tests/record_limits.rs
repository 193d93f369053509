//! The limits of a record: every part of it is limited, and `truncated` reports what was cut.

use audited::{audit_method, testing};

#[test]
fn fields_are_limited_in_number_and_bytes() {
    #[audit_method(action = "fields")]
    fn fields() {
        for number in 0..2_000 {
            audited::field(format!("field {number}"), number);
        }
    }
    #[audit_method(action = "large fields")]
    fn large_fields() {
        for number in 0..100 {
            audited::field(format!("field {number}"), "x".repeat(10_000));
        }
    }
    let records = testing::capture(|| {
        fields();
        large_fields();
    });
    let cut = records[0].truncated.last().expect("a truncation");
    assert_eq!((cut.path.as_str(), cut.kept, cut.was), ("context.extra", 1_000, Some(2_000)));
    let size = records[1].context.as_ref().expect("fields").as_str().len();
    assert!(size < 270 * 1024, "{size}");
}

#[test]
fn notes_are_limited_in_bytes() {
    #[audit_method(action = "notes")]
    fn notes() {
        for _ in 0..100 {
            audited::note("a note", "x".repeat(10_000));
        }
    }
    let records = testing::capture(notes);
    assert_eq!(records[0].notes.len(), 26);
    let cut = records[0].truncated.last().expect("a truncation");
    assert_eq!((cut.path.as_str(), cut.kept, cut.was), ("notes", 26, Some(100)));
}

#[test]
fn the_list_of_truncations_is_limited() {
    #[audit_method(action = "reasons")]
    fn reasons() {
        for _ in 0..1_000 {
            audited::reason("x".repeat(20_000));
        }
    }
    let records = testing::capture(reasons);
    assert_eq!(records[0].truncated.len(), 256);
}

#[test]
fn parts_of_a_target_are_truncated_and_may_panic() {
    struct Panics;
    impl std::fmt::Display for Panics {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("in Display")
        }
    }
    #[audit_method(action = "target", target = ("x".repeat(5_000), Panics, "y".repeat(5_000)))]
    fn target() -> u8 {
        5
    }
    let records = testing::capture(|| assert_eq!(target(), 5));
    let long = |c: &str| format!("{}… [cut: 5000 bytes]", c.repeat(1_024));
    assert_eq!(records[0].target_type.as_deref(), Some(&*long("x")));
    assert_eq!(records[0].target_id.as_deref(), Some("[not recorded: formatting it panicked]"));
    assert_eq!(records[0].target_label.as_deref(), Some(&*long("y")));
}
