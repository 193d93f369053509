use audited::audited_fields;

#[audited_fields(age, except(id))]
struct Pilot {
    id: u64,
    age: u8,
}

#[audited_fields(all(redact), all, all, except)]
struct Copilot {
    id: u64,
    age: u8,
}

#[audited_fields(all)]
struct Guest {
    id: u64,
    all: u8,
}

#[audited_fields(all, except())]
struct Dog {
    id: u64,
}

fn main() {}
