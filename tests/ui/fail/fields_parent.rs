use audited::audited_fields;

#[audited_fields(total)]
struct Order {
    id: u64,
    total: u32,
}

#[audited_fields(amount; parent = Order)]
struct Line {
    id: u64,
    amount: u32,
}

#[audited_fields(amount; parent = Order())]
struct Discount {
    id: u64,
    amount: u32,
}

#[audited_fields(name; parent = Category(above))]
struct Category {
    id: u64,
    above: u64,
    name: String,
}

#[audited_fields(amount; parent = Unaudited(id))]
struct Bonus {
    id: u64,
    amount: u32,
}

struct Unaudited;

#[audited_fields(amount; parent = (order))]
struct Fee {
    id: u64,
    order: u64,
    amount: u32,
}

fn main() {}
