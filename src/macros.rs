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
        let mut call = $crate::__private::begin_execute($action, $method, $parameters);
        let value = call.run($body);
        if call.is_recorded() {
            match $crate::__private::outcome(&value).split() {
                $crate::__private::Ok(value) => {
                    $crate::__private::value(value).record_output(&mut call);
                }
                $crate::__private::Err(error) => {
                    $crate::__private::error(error).record_error(&mut call);
                }
            }
        }
        value
    }};
}
