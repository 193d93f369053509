use audited::audit_method;

#[audit_method(durability = "power")]
fn pay(amount: u32) -> u32 {
    amount
}

#[audit_method(on_audit_failure = "refuse")]
fn charge(amount: u32) -> u32 {
    amount
}

fn main() {
    pay(charge(1));
}
