use audited::audit_method;

unsafe extern "C" {
    #[audit_method]
    safe fn abs(n: i32) -> i32;
}

fn main() {
    abs(-1);
}
