//! [`execute!`](crate::execute!): runs a closure of any return type as an audited call.

/// Runs a closure as an audited call, without an attribute. The closure may return any type.
///
/// The arguments are those of the function [`execute`](crate::execute()). The return value is
/// recorded as the attribute does it: by `Serialize`, else by `Debug`, else as the name of its
/// type.
///
/// ```
/// #[derive(Debug)]
/// struct Receipt(u32);
///
/// let records = audited::testing::capture(|| {
///     let Receipt(number) = audited::execute!("pay", "bank::pay", (), || Receipt(7));
///     assert_eq!(number, 7);
/// });
/// assert_eq!(records[0].output.as_ref().unwrap().as_str(), r#""Receipt(7)""#);
/// ```
#[macro_export]
macro_rules! execute {
    ($action:expr, $method:expr, $parameters:expr, $body:expr $(,)?) => {{
        let mut __audited_call = $crate::__private::begin_execute($action, $method, $parameters);
        let __audited_value = $crate::__private::Call::run(&mut __audited_call, $body);
        if $crate::__private::Call::is_recorded(&__audited_call) {
            match $crate::__private::outcome(&__audited_value).__audited_split() {
                $crate::__private::Ok(__audited_value) => {
                    let __audited_value = $crate::__private::status(__audited_value)
                        .__audited_rest(&mut __audited_call);
                    $crate::__private::value(__audited_value)
                        .__audited_checked()
                        .__audited_record_output(&mut __audited_call);
                }
                $crate::__private::Err(__audited_error) => {
                    let __audited_error = $crate::__private::status(__audited_error)
                        .__audited_rest(&mut __audited_call);
                    $crate::__private::error(__audited_error)
                        .__audited_record_error(&mut __audited_call);
                }
            }
        }
        __audited_value
    }};
}
