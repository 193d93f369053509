use audited::audit_method;

fn main() {
    let pay = #[audit_method]
    |amount: u32| amount;
    pay(1);
}
