use audited::audited_fields;

#[audited_fields(age; keys = id)]
struct Pilot {
    id: u64,
    age: u8,
}

#[audited_fields(age; primary_key = number, table = "pilots")]
struct Copilot {
    number: u64,
    age: u8,
}

#[audited_fields(age; id, name)]
struct Guest {
    id: u64,
    age: u8,
    name: String,
}

fn main() {}
