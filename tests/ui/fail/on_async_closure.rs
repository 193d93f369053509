use audited::audit_method;

fn main() {
    #[audit_method]
    let pay = async |amount: u32| amount;
    drop(pay(1));
}
