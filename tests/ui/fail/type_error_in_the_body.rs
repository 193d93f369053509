use audited::audit_method;

#[audit_method]
fn pay(amount: u32) -> String {
    amount
}

#[audit_method]
async fn charge(amount: u32) -> Result<String, String> {
    let rate = rate(amount)?;
    Ok(rate)
}

fn rate(amount: u32) -> Result<u32, String> {
    Ok(amount)
}

#[audit_method]
async fn unknown_name(amount: u32) {
    println!("{}", amuont);
}

#[audit_method]
fn borrows(amount: &str) -> &str {
    let own = amount.to_owned();
    &own
}

fn main() {
    pay(1);
    drop(charge(1));
}
