//! Results whose error types differ in what they implement. These shapes come from real crates and
//! have no number.

#![deny(warnings, unsafe_op_in_unsafe_fn, unused_mut, clippy::all, clippy::pedantic)]
// These lints object to the shapes under test, which are intentional.
#![allow(clippy::needless_pass_by_value, clippy::result_unit_err)]

use std::error::Error;
use std::fmt::{Debug, Display};
use std::sync::Arc;

use audited::{audit_method, testing};
use serde_json::json;

use crate::summary::{Bad, summary_of, summary_of_async};

#[test]
fn errors_of_many_types_are_recorded() {
    struct Mute;
    #[audit_method]
    fn unit() -> Result<(), ()> {
        Err(())
    }
    #[audit_method]
    fn text() -> Result<(), &'static str> {
        Err("no")
    }
    #[audit_method]
    fn only_debug() -> Result<(), Option<u8>> {
        Err(Some(1))
    }
    #[audit_method]
    fn neither() -> Result<(), Mute> {
        Err(Mute)
    }
    #[audit_method]
    fn shared() -> Result<(), Arc<dyn Error + Send + Sync>> {
        Err(Arc::new(Bad))
    }
    #[audit_method]
    fn borrowed<'e>(error: &'e (dyn Error + 'e)) -> Result<(), &'e (dyn Error + 'e)> {
        Err(error)
    }
    #[audit_method]
    fn boxed<'e>(error: Box<dyn Error + 'e>) -> Result<(), Box<dyn Error + 'e>> {
        Err(error)
    }
    #[audit_method]
    fn generic<T, E>(result: Result<T, E>) -> Result<T, E> {
        result
    }
    #[audit_method]
    fn generic_shown<T: Debug, E: Display>(result: Result<T, E>) -> Result<T, E> {
        result
    }

    // The integer type of the error is inferred only at the end of the body.
    #[audit_method]
    fn coded(ok: bool) -> Result<impl Iterator<Item = u8>, impl Display> {
        if ok { Ok(0..3) } else { Err(404) }
    }
    #[audit_method]
    async fn coded_later(ok: bool) -> Result<impl Iterator<Item = u8>, impl Display> {
        if ok { Ok(0..3) } else { Err(404) }
    }

    let outcome_and_error =
        |summary: serde_json::Value| (summary[0]["outcome"].clone(), summary[0]["error"].clone());
    let failed = |error: &str| (json!("failure"), json!(error));
    assert_eq!(outcome_and_error(summary_of(unit)), failed("(): ()"));
    assert_eq!(outcome_and_error(summary_of(|| coded(false).is_err())), failed("i32: 404"));
    assert_eq!(
        outcome_and_error(summary_of_async(async { coded_later(false).await.is_err() })),
        failed("i32: 404")
    );
    assert_eq!(summary_of(|| coded(true).map(Iterator::count).ok())[0]["outcome"], "success");
    assert_eq!(outcome_and_error(summary_of(text)), failed("&str: no"));
    assert_eq!(outcome_and_error(summary_of(only_debug)), failed("Option<u8>: Some(1)"));
    assert_eq!(outcome_and_error(summary_of(neither)), failed("Mute: "));
    assert!(summary_of(shared)[0]["error"].as_str().unwrap().ends_with(": it is bad"));
    assert!(
        summary_of(|| borrowed(&Bad).is_err())[0]["error"]
            .as_str()
            .unwrap()
            .ends_with(": it is bad")
    );
    assert!(
        summary_of(|| boxed(Box::new(Bad)))[0]["error"].as_str().unwrap().ends_with(": it is bad")
    );
    // Only the type of an unbounded parameter is known.
    assert_eq!(outcome_and_error(summary_of(|| generic::<u8, _>(Err(Bad)))), failed("Bad: "));
    assert_eq!(
        outcome_and_error(summary_of(|| generic_shown::<u8, _>(Err(Bad)))),
        failed("Bad: it is bad")
    );
    assert_eq!(summary_of(|| generic_shown::<_, Bad>(Ok(7)))[0]["out"], "7");
}

/// `Refused` implements `Error` only for `'static` parameters. Method lookup ignores lifetimes, so
/// an expansion that selected this implementation would be rejected later by the compiler.
#[test]
fn an_error_implementation_for_static_parameters_is_not_relied_on() {
    use std::any::Any;
    use std::fmt;

    struct Refused<T>(T);
    impl<T> fmt::Debug for Refused<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Refused")
        }
    }
    impl<T> fmt::Display for Refused<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("refused")
        }
    }
    impl<T: Any> std::error::Error for Refused<T> {}

    struct Half<T>(T);
    impl<T> Half<T> {
        #[audit_method]
        fn reunite(self) -> Result<T, Refused<T>> {
            Err(Refused(self.0))
        }
    }
    struct Text(usize);
    impl<'a> TryFrom<&'a str> for Text {
        type Error = Refused<&'a str>;

        #[audit_method]
        fn try_from(text: &'a str) -> Result<Self, Self::Error> {
            if text.is_empty() { Err(Refused(text)) } else { Ok(Self(text.len())) }
        }
    }
    let records = testing::capture(|| {
        let word = String::from("word");
        assert_eq!(Half(&*word).reunite().map_err(|refused| refused.0), Err("word"));
        assert_eq!(
            Text::try_from(&word[..0]).map(|text| text.0).map_err(|refused| refused.0),
            Err("")
        );
    });
    for record in &records {
        assert_eq!(record.error.as_ref().expect("a failure").message, "refused");
    }
    assert_eq!(records.len(), 2);
}
