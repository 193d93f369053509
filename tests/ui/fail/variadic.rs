use audited::audit_method;

#[audit_method]
unsafe extern "C" fn sum(n: u32, _more: ...) -> u32 {
    n
}

fn main() {
    unsafe { sum(1) };
}
