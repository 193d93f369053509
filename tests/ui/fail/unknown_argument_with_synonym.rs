use audited::audit_method;

#[audit_method(level = "info", name = "pay")]
fn pay(amount: u32) -> u32 {
    amount
}

fn main() {
    pay(1);
}
