use audited::audited_fields;

use audited::Tracked;

struct Plane {
    id: u64,
}

#[audited_fields(id)]
struct Pilot {
    id: u64,
}

fn main() {
    drop(Tracked::new(Pilot { id: 1 }));
    drop(Tracked::new(Plane { id: 1 }));
}

