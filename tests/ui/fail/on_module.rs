use audited::audit_method;

#[audit_method]
mod bank {
    pub fn pay(amount: u32) -> u32 {
        amount
    }
}

fn main() {
    bank::pay(1);
}
