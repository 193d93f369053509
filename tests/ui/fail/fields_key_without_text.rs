use audited::audited_fields;

#[audited_fields(age; key = place, label = shape)]
struct Pilot {
    place: Shape,
    shape: Option<Shape>,
    age: u8,
}

struct Shape;

fn main() {}
