use audited::audited_fields;

#[audited_fields(name(with = Vec::len), age(with = years))]
struct Pilot {
    id: u64,
    name: String,
    age: u8,
}

fn main() {}
