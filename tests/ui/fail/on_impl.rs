use audited::audit_method;

struct Book;

#[audit_method]
impl Book {
    fn pay(&self, amount: u32) -> u32 {
        amount
    }
}

#[audit_method(skip_all)]
unsafe impl Send for Book {}

fn main() {
    Book.pay(1);
}
