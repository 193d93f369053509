use audited::audited_fields;

#[audited_fields(age, years(rename = "age"))]
struct Pilot {
    id: u64,
    age: u8,
    years: u8,
}

#[audited_fields(age(was = "years"), years)]
struct Copilot {
    id: u64,
    age: u8,
    years: u8,
}

#[audited_fields(age(was = "age"), rank(was = "grade"), level(was = "grade"); name = "guest", was = "guest", was("visitor", "visitor"))]
struct Guest {
    id: u64,
    age: u8,
    rank: u8,
    level: u8,
}

#[audited_fields(age; name = "people/dog")]
struct Dog {
    id: u64,
    age: u8,
}

fn main() {}
