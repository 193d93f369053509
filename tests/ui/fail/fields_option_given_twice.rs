use audited::audited_fields;

#[audited_fields(age(redact, redact), rank(was = "grade", was = "level"); key = id, key = number, name = "a", name = "b")]
struct Pilot {
    id: u64,
    number: u64,
    age: u8,
    rank: u8,
}

fn main() {}
