use audited::audited_fields;

#[audited_fields(age)]
#[repr(C, packed)]
struct Pilot {
    id: u64,
    age: u8,
}

fn main() {}
