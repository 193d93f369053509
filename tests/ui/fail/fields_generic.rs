use audited::audited_fields;

use audited::Tracked;

#[audited_fields(value)]
struct Holder<T> {
    id: u64,
    value: Vec<T>,
}

#[audited_fields(age; key = id)]
struct Pilot<K> {
    id: K,
    age: u8,
}

struct Shape;

fn main() {
    let _good = Tracked::new(Holder { id: 1, value: vec![1] });
    let _bad = Tracked::new(Holder { id: 1, value: vec![Shape] });
    let _ = Pilot { id: 1, age: 2 }.age;
}

