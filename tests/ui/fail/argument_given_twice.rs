use audited::audit_method;

#[audit_method(skip(amount), action = "pay", skip(card))]
fn pay(amount: u32, card: u32) -> u32 {
    amount + card
}

fn main() {
    pay(1, 2);
}
