use audited::audit_method;

#[audit_method]
gen fn numbers() -> u32 {
    yield 1;
}

fn main() {
    numbers();
}
