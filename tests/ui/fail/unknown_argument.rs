use audited::audit_method;

#[audit_method(acton = "pay")]
fn pay(amount: u32) -> u32 {
    amount
}

fn main() {
    pay(1);
}
