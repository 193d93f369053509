use audited::audited_fields;

#[audited_fields(total; key = (tenant, number))]
struct Order {
    tenant: u8,
    number: u32,
    total: u32,
}

#[audited_fields(amount; key = line, parent = Order(order))]
struct Line {
    order: u32,
    line: u8,
    amount: u32,
}

fn main() {}
