use audited::audit_method;

#[audit_method]
static RATE: u32 = 3;

#[audit_method]
const LIMIT: u32 = 3;

#[audit_method]
type Amount = u32;

#[audit_method]
macro_rules! pay {
    () => {
        1
    };
}

#[audit_method]
unsafe extern "C" {}

fn main() {
    let _: Amount = RATE + LIMIT + pay!();
}
