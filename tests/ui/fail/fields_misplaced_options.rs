use audited::audited_fields;

#[audited_fields(age, key = number)]
struct Pilot {
    number: u64,
    age: u8,
}

#[audited_fields(age = "years", redact = ssn)]
struct Copilot {
    id: u64,
    age: u8,
    ssn: String,
}

fn main() {}
