use audited::audit_method;

#[audit_method(target = amount)]
fn pay(amount: u32) -> u32 {
    amount
}

fn main() {
    pay(1);
}
