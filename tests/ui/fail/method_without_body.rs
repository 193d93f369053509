use audited::audit_method;

trait Ledger {
    #[audit_method]
    fn pay(&self, amount: u32) -> u32;

    #[audit_method]
    async fn post(&self, amount: u32) -> u32;
}

struct Book;

impl Ledger for Book {
    fn pay(&self, amount: u32) -> u32 {
        amount
    }

    async fn post(&self, amount: u32) -> u32 {
        amount
    }
}

fn main() {
    Book.pay(1);
    drop(Book.post(1));
}
