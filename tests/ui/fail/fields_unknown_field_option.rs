use audited::audited_fields;

#[audited_fields(age(alias = "years"), ssn(redacted), name(loud))]
struct Pilot {
    id: u64,
    age: u8,
    ssn: String,
    name: String,
}

fn main() {}
