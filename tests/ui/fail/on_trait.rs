use audited::audit_method;

#[audit_method]
pub trait Ledger {
    fn pay(&self, amount: u32) -> u32;
}

impl Ledger for u32 {
    fn pay(&self, amount: u32) -> u32 {
        self + amount
    }
}

fn main() {
    1.pay(2);
}
