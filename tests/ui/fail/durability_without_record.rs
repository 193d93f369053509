use audited::audit_method;

#[audit_method(capture = "none", on_audit_failure = "refuse")]
fn charge(amount: u32) -> Result<u32, Box<dyn std::error::Error>> {
    Ok(amount)
}

#[audit_method(capture = "none", durability = "power")]
fn pay(amount: u32) -> u32 {
    amount
}

#[audit_method(capture = "none", durability = "process", on_audit_failure = "refuse")]
const fn both(amount: u32) -> u32 {
    amount
}

#[audit_method(durability = "disk", on_audit_failure = "refuses")]
fn misspelt(amount: u32) -> u32 {
    amount
}

fn main() {}
