use audited::audited_fields;

#[audited_fields(age)]
#[audited_fields(name)]
struct Pilot {
    id: u64,
    age: u8,
    name: String,
}

fn main() {}
