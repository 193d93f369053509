use audited::audited_fields;

#[audited_fields(first_nam, age, seats)]
struct Pilot {
    id: u64,
    first_name: String,
    age: u8,
}

#[audited_fields(0, 2; key = 0)]
struct Pair(u8, u8);

#[audited_fields(all, except(shoes); key = idd, label = title, parent = Pair(pair_id))]
struct Plane {
    id: u64,
    name: String,
}

fn main() {}
