use audited::audited_fields;

use audited::Tracked;

#[audited_fields(agee, first_name(redacted), ssn(redact, debug); label = ssn, nam = "pilot")]
struct Pilot {
    number: u64,
    first_name: String,
    age: u8,
    ssn: String,
}

// No second error says that the type has no audited fields.
fn main() {
    let pilot = Pilot { number: 1, first_name: String::new(), age: 1, ssn: String::new() };
    let mut pilot = Tracked::new(pilot);
    pilot.age += 1;
    pilot.save(|_| Ok::<(), String>(())).unwrap();
}

