use audited::audit_method;

#[audit_method(action("pay"))]
fn action_in_parentheses() {}

#[audit_method("pay")]
fn action_without_name() {}

#[audit_method(skip = amount)]
fn skip_with_equals(amount: u32) -> u32 {
    amount
}

#[audit_method(skip_all = true)]
fn flag_with_value(amount: u32) -> u32 {
    amount
}

#[audit_method(skip())]
fn empty_list(amount: u32) -> u32 {
    amount
}

#[audit_method(reason =)]
fn missing_value(amount: u32) -> u32 {
    amount
}

#[audit_method(fields(amount))]
fn field_without_value(amount: u32) -> u32 {
    amount
}

#[audit_method(skip_all skip_output)]
fn no_comma(amount: u32) -> u32 {
    amount
}

#[audit_method(crate = 5)]
fn crate_is_no_path(amount: u32) -> u32 {
    amount
}

#[audit_method(skip(amount, "other"))]
fn text_in_a_list(amount: u32, other: u32) -> u32 {
    amount + other
}

#[audit_method(action = 5)]
fn action_is_a_number(amount: u32) -> u32 {
    amount
}

fn main() {
    action_in_parentheses();
    action_without_name();
    skip_with_equals(1);
    flag_with_value(1);
    empty_list(1);
    missing_value(1);
    field_without_value(1);
    no_comma(1);
    crate_is_no_path(1);
    text_in_a_list(1, 2);
    action_is_a_number(1);
}
