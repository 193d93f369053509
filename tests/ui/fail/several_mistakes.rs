use audited::audit_method;

#[audit_method(acton = "pay", skip(card), log = "loud", debug(amount), debug(amount))]
fn pay(amount: u32) -> u32 {
    amount
}

#[audit_method(skip(card), durability = "power")]
const fn charge(amount: u32) -> u32 {
    amount
}

fn main() {
    pay(charge(1));
}
