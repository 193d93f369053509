use audited::audited_fields;

#[audited_fields(
    ssn(redact, debug),
    shape(debug, with = Shape::corners),
    tags(set, redact),
    seats(set, debug),
)]
struct Pilot {
    id: u64,
    ssn: String,
    shape: Shape,
    tags: Vec<u8>,
    seats: Vec<u8>,
}

#[derive(Debug)]
struct Shape;

impl Shape {
    fn corners(&self) -> u8 {
        3
    }
}

fn main() {}
