use audited::audit_method;

#[audit_method(action = name_of(amount))]
fn charge(amount: u32) -> u32 {
    amount
}

#[audit_method(action = amount)]
fn refund(amount: u32) -> u32 {
    amount
}

#[audit_method(action = format!("pay {amount}"))]
fn pay(amount: u32) -> u32 {
    amount
}

fn name_of(_: u32) -> &'static str {
    "charge"
}

fn main() {
    refund(pay(charge(1)));
}
