use audited::audited_fields;

#[audited_fields(age, first_name, r#age; key = (id, id))]
struct Pilot {
    id: u64,
    first_name: String,
    age: u8,
}

#[audited_fields(all, age, except(first_name, first_name))]
struct Copilot {
    id: u64,
    first_name: String,
    age: u8,
}

#[audited_fields(all, except(age), age(redact))]
struct Guest {
    id: u64,
    age: u8,
}

fn main() {}
