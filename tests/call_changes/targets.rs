//! The target of a call is the object as it is when the call ends.

use audited::{Record, Tracked, audit_method, audited_fields, testing};
use serde::Serialize;

use super::change_lines;

#[audited_fields(name; key = id, label = name)]
#[derive(Debug, Serialize)]
struct Patient {
    id: u64,
    name: String,
}

fn patient(id: u64) -> Patient {
    Patient { id, name: "Ann".to_owned() }
}

struct Store;

impl Store {
    #[audit_method(skip(self))]
    fn insert(&self, patient: &mut Patient) {
        patient.id = 17;
        patient.name.push_str(" B");
    }

    #[audit_method(skip(self))]
    fn insert_or_fail(&self, patient: &mut Patient) -> Result<(), String> {
        patient.id = 17;
        Err("no connection".to_owned())
    }

    #[audit_method(skip(self))]
    fn insert_nested(&self, patient: &mut Patient) {
        patient.name.push('!');
        self.insert(patient);
    }

    #[audit_method(skip(self), target = ("ward", 3))]
    fn insert_into(&self, patient: &mut Patient) {
        patient.id = 17;
    }

    #[audit_method(skip(self))]
    fn insert_tracked(&self, patient: &mut Tracked<Patient>) {
        patient
            .save(|patient| {
                patient.id = 17;
                Ok::<(), String>(())
            })
            .expect("stored");
    }

    #[audit_method(skip(self))]
    fn insert_other(&self, patient: &mut Tracked<Patient>) {
        let mut other = Tracked::new(super::targets::patient(1));
        other
            .save(|patient| {
                patient.id = 18;
                Ok::<(), String>(())
            })
            .expect("stored");
        patient.name.clear();
    }
}

impl Patient {
    #[audit_method]
    fn admit(&mut self) {
        self.id = 17;
    }

    #[audit_method]
    async fn admit_later(&mut self) {
        super::pause().await;
        self.id = 17;
    }
}

fn target(record: &Record) -> (Option<&str>, Option<&str>, Option<&str>) {
    (record.target_type.as_deref(), record.target_id.as_deref(), record.target_label.as_deref())
}

#[test]
fn an_id_that_is_assigned_in_the_body_is_the_target() {
    let records = testing::capture(|| {
        Store.insert(&mut patient(0));
        Store.insert_or_fail(&mut patient(0)).unwrap_err();
        patient(0).admit();
        super::block_on(patient(0).admit_later());
    });
    let of = |label| (Some("Patient"), Some("17"), Some(label));
    assert_eq!(
        records.iter().map(target).collect::<Vec<_>>(),
        [of("Ann B"), of("Ann"), of("Ann"), of("Ann"),]
    );
    // The object is found under its new id, and the change says what the id was.
    assert_eq!(
        change_lines(&records[0]),
        ["Patient 17 name \"Ann\" \"Ann B\"", "Patient 17 id 0 17"]
    );
    let changes = testing::history::<Patient>(&records, 17).changes();
    assert_eq!(changes.count(), 4);
    // The input shows the arguments as they were passed.
    assert_eq!(records[0].input.as_ref().unwrap().as_str(), r#"{"patient":{"id":0,"name":"Ann"}}"#);
}

#[test]
fn nested_calls_agree_on_the_object() {
    let records = testing::capture(|| Store.insert_nested(&mut patient(0)));
    assert_eq!(target(&records[0]), (Some("Patient"), Some("17"), Some("Ann! B")));
    assert_eq!(target(&records[1]), (Some("Patient"), Some("17"), Some("Ann! B")));
    assert_eq!(
        change_lines(&records[0]),
        ["Patient 17 name \"Ann!\" \"Ann! B\"", "Patient 17 id 0 17"]
    );
    assert_eq!(change_lines(&records[1]), ["Patient 17 name \"Ann\" \"Ann!\""]);
}

#[test]
fn a_target_that_was_given_stays() {
    let records = testing::capture(|| Store.insert_into(&mut patient(0)));
    assert_eq!(target(&records[0]), (Some("ward"), Some("3"), None));
    assert_eq!(change_lines(&records[0]), ["Patient 17 id 0 17"]);
}

#[test]
fn a_tracked_argument_is_recorded_like_the_object() {
    let records = testing::capture(|| {
        Store.insert_tracked(&mut Tracked::new(patient(0)));
        Store.insert_other(&mut Tracked::loaded(patient(1)));
    });
    let [created, inserted, _, kept] = &records[..] else { panic!("four records: {records:?}") };
    assert_eq!(target(created), (Some("Patient"), Some("17"), Some("Ann")));
    assert_eq!(target(inserted), target(created));
    assert_eq!(inserted.input.as_ref().unwrap().as_str(), r#"{"patient":{"id":0,"name":"Ann"}}"#);
    // Only the save records the change.
    assert_eq!((change_lines(inserted).len(), &inserted.truncated[..]), (0, &[][..]));
    // The save of another object with the same id does not change the target.
    assert_eq!(kept.target_id.as_deref(), Some("1"));
}
