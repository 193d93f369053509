//! What the compiler says: each file in `tests/ui/fail` is rejected with the message beside it, and each
//! in `tests/ui/pass` compiles and runs. Write new messages with `TRYBUILD=overwrite`, and read them.

#[test]
fn messages() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
