use audited::audited_fields;

#[audited_fields(shape, other(redact), third(with = Shape::itself), fourth(debug), fifth(redact, with = Shape::itself))]
struct Pilot {
    id: u64,
    shape: Vec<Shape>,
    other: Shape,
    third: Option<Shape>,
    fourth: Shape,
    fifth: Option<Shape>,
}

struct Shape;

impl Shape {
    fn itself(_: &Option<Shape>) -> Shape {
        Shape
    }
}

fn main() {}
