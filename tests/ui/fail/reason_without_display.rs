use audited::audit_method;

struct Why;

#[audit_method(reason = why)]
fn pay(amount: u32, why: Why) -> u32 {
    amount
}

fn main() {
    pay(1, Why);
}
