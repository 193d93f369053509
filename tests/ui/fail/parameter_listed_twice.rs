use audited::audit_method;

#[audit_method(debug(card), redact(card), skip(amount, amount))]
fn pay(amount: u32, card: u32) -> u32 {
    amount + card
}

#[audit_method(skip_all, skip(amount))]
fn charge(amount: u32) -> u32 {
    amount
}

fn main() {
    pay(1, charge(2));
}
