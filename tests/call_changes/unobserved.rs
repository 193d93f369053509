//! Calls whose object cannot be compared, because the returned value borrows it, or because its
//! snapshot may not be `Send`.

use std::collections::HashMap;

use audited::fields::AuditedFields;
use audited::record::Truncation;
use audited::{audit_method, audited_fields, testing};

use super::{Pilot, kara, single_record, unobserved};

/// Types that borrow, under the names of types that do not.
mod misleading {
    pub(crate) type Result<'g, T = u8> = std::result::Result<G<'g>, T>;
    pub(crate) struct G<'g>(pub(crate) &'g mut u32);
}

#[allow(elided_lifetimes_in_paths, mismatched_lifetime_syntaxes)]
impl Pilot {
    #[audit_method(skip_all)]
    fn rank(&mut self) -> misleading::Result {
        Ok(misleading::G(&mut self.rank))
    }

    #[audit_method(skip_all)]
    fn short(&mut self) -> misleading::G {
        misleading::G(&mut self.rank)
    }
}

#[test]
fn a_returned_borrow_is_recognised_by_its_type_and_not_by_its_name() {
    let mut pilot = kara();
    let records = testing::capture(|| {
        *pilot.rank().unwrap_or_else(|_| unreachable!()).0 += 1;
        *pilot.short().0 += 1;
    });
    assert_eq!(pilot.rank, 3);
    assert!(records.iter().all(|record| record.truncated == [unobserved("self")]));
}

/// A future stays `Send` even where the compiler cannot prove that the snapshot of the object is
/// `Send`.
#[test]
fn a_generic_future_stays_send_and_reports_the_object_that_it_does_not_compare() {
    #[audit_method]
    async fn touch<T: AuditedFields + Send>(_object: &mut T) -> u32 {
        std::future::ready(1).await
    }
    fn as_send<T: Send>(value: T) -> T {
        value
    }
    async fn any<T: AuditedFields + Send>(mut object: T) -> u32 {
        as_send(touch(&mut object)).await
    }
    let records = testing::capture(|| {
        let mut future = Box::pin(any(Plain { id: 7, number: 1 }));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(future.as_mut().poll(&mut cx).is_ready());
    });
    assert_eq!(records[0].target_id.as_deref(), Some("7"));
    assert_eq!(records[0].truncated[0].path, "changes._object");
}

#[test]
fn collections_of_audited_objects_are_reported() {
    #[audit_method(skip_all)]
    fn collections(
        list: &mut Vec<Pilot>,
        option: &mut Option<Box<Pilot>>,
        map: &mut HashMap<u8, Pilot>,
        numbers: &mut Vec<u32>,
    ) {
        list.push(kara());
        *option = None;
        map.clear();
        numbers.push(1);
    }
    let record = single_record(|| {
        let map = &mut HashMap::from([(1, kara())]);
        collections(&mut vec![kara()], &mut None, map, &mut vec![1]);
    });
    let cut = |name| Truncation::new(format!("changes.{name}"), "objects", 0, None);
    assert_eq!(record.truncated, ["list", "option", "map"].map(cut));
    assert!(record.changes.is_empty() && record.target_id.is_none());
}

#[audited_fields(number; key = id)]
struct Plain {
    id: u8,
    number: u8,
}
