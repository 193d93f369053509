use audited::audited_fields;

#[audited_fields(age; label = name)]
struct Pilot {
    #[cfg(any())]
    id: u64,
    #[cfg(any())]
    name: String,
    age: u8,
}

#[audited_fields(age; key = number)]
struct Copilot {
    #[cfg(any())]
    number: u64,
    age: u8,
}

fn main() {}
