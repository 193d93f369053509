use audited::audit_method;

#[audit_method(action = " ")]
fn pay(amount: u32) -> u32 {
    amount
}

#[audit_method(action =)]
fn charge(amount: u32) -> u32 {
    amount
}

fn main() {
    pay(charge(1));
}
