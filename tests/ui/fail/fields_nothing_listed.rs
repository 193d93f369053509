use audited::audited_fields;

#[audited_fields]
struct Pilot {
    id: u64,
    first_name: String,
}

#[audited_fields(; key = id)]
struct Plane {
    id: u64,
}

#[audited_fields(all, except(id))]
struct Seat {
    id: u64,
}

fn main() {}
