use audited::audited_fields;

#[audited_fields(ssn(redact); key = ssn)]
struct Pilot {
    ssn: String,
}

#[audited_fields(name(redact), id(redact); label = name)]
struct Copilot {
    id: u64,
    name: String,
}

#[audited_fields(owner(redact); key = number, parent = Pilot(owner))]
struct Dog {
    owner: String,
    number: u8,
}

fn main() {}
