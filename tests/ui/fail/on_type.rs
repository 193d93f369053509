use audited::audit_method;

#[audit_method]
struct Book {
    pages: u32,
}

#[audit_method]
pub(crate) enum Cover {
    Hard,
}

#[audit_method]
union Bits {
    whole: u32,
}

fn main() {
    let _ = (Book { pages: 3 }.pages, Cover::Hard, Bits { whole: 1 });
}
