//! `skip`, `debug` and `redact` name parameters. A wrong name could leave a secret in the record, so it is rejected.

use audited::audit_method;

#[audit_method(skip(pasword))]
fn login(user: &str, password: &str) -> bool {
    user == password
}

#[audit_method(redact(token), debug(left))]
fn add((left, right): (u8, u8), _: u8) -> u8 {
    left + right
}

#[audit_method(skip(anything))]
fn nothing() {}

struct Account;

impl Account {
    #[audit_method(skip(self, self), redact(amount), debug(amount))]
    fn pay(&self, amount: u64) -> u64 {
        amount
    }

    #[audit_method(skip_all, skip(r#type))]
    async fn close(r#type: u8) -> u8 {
        r#type
    }
}

fn main() {
    assert!(login("a", "a"));
    assert_eq!(add((1, 2), 3), 3);
    nothing();
    assert_eq!(Account.pay(1), 1);
    let _ = Account::close(1);
}
