use audited::audited_fields;

#[audited_fields(all)]
struct Unit;

#[audited_fields(all; key = id)]
struct Braces {}

fn main() {}
