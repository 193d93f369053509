use audited::audited_fields;

#[audited_fields(first_name, age)]
struct Pilot {
    number: u64,
    first_name: String,
    age: u8,
}

fn main() {
    let pilot = Pilot { number: 1, first_name: String::new(), age: 25 };
    let _ = (audited::Tracked::new(pilot).number, Pair(1, 2));
}

#[audited_fields(1)]
struct Pair(u8, u8);

