use audited::audit_method;

#[audit_method(capture = "everything", log = "inf", durability = 3, on_audit_failure = "stop")]
fn pay(amount: u32) -> u32 {
    amount
}

#[audit_method(capture = full)]
fn charge(amount: u32) -> u32 {
    amount
}

fn main() {
    pay(charge(1));
}
