//! More shapes from real crates: kinds of errors, associated types, unsized types, rare patterns.

#![deny(warnings, unsafe_op_in_unsafe_fn, unused_mut, clippy::all, clippy::pedantic)]
// These lints speak of the shapes, which are what they are on purpose.
#![allow(clippy::needless_pass_by_value, clippy::result_unit_err, clippy::unused_self)]

use std::error::Error;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use audited::{Outcome, audit_method, testing};
use serde_json::json;

use crate::told::{Bad, block_on, ended, no_output, of, of_async, success};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[test]
fn errors_of_many_types() {
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

    // The type of the number is decided only at the end of the body.
    #[audit_method]
    fn coded(ok: bool) -> Result<impl Iterator<Item = u8>, impl Display> {
        if ok { Ok(0..3) } else { Err(404) }
    }
    #[audit_method]
    async fn coded_later(ok: bool) -> Result<impl Iterator<Item = u8>, impl Display> {
        if ok { Ok(0..3) } else { Err(404) }
    }

    let told = |of: serde_json::Value| (of[0]["outcome"].clone(), of[0]["error"].clone());
    let failed = |error: &str| (json!("failure"), json!(error));
    assert_eq!(told(of(unit)), failed("(): ()"));
    assert_eq!(told(of(|| coded(false).is_err())), failed("i32: 404"));
    assert_eq!(told(of_async(async { coded_later(false).await.is_err() })), failed("i32: 404"));
    assert_eq!(of(|| coded(true).map(Iterator::count).ok())[0]["outcome"], "success");
    assert_eq!(told(of(text)), failed("&str: no"));
    assert_eq!(told(of(only_debug)), failed("Option<u8>: Some(1)"));
    assert_eq!(told(of(neither)), failed("Mute: "));
    assert!(of(shared)[0]["error"].as_str().unwrap().ends_with(": it is bad"));
    assert!(of(|| borrowed(&Bad).is_err())[0]["error"].as_str().unwrap().ends_with(": it is bad"));
    assert!(of(|| boxed(Box::new(Bad)))[0]["error"].as_str().unwrap().ends_with(": it is bad"));
    // Of an unbounded parameter only the type is known.
    assert_eq!(told(of(|| generic::<u8, _>(Err(Bad)))), failed("Bad: "));
    assert_eq!(told(of(|| generic_shown::<u8, _>(Err(Bad)))), failed("Bad: it is bad"));
    assert_eq!(of(|| generic_shown::<_, Bad>(Ok(7)))[0]["out"], "7");
}

trait Lend {
    type Item<'a>: Debug
    where
        Self: 'a;
    type Error;

    fn lend(&mut self) -> Result<Self::Item<'_>, Self::Error>;
}

struct Lines(Vec<String>);

impl Lend for Lines {
    type Item<'a> = &'a mut String;
    type Error = Bad;

    #[audit_method(skip(self))]
    fn lend(&mut self) -> Result<Self::Item<'_>, Self::Error> {
        self.0.last_mut().ok_or(Bad)
    }
}

#[audit_method(skip_all)]
fn lend_twice<L: Lend>(from: &mut L) -> Result<L::Item<'_>, L::Error> {
    from.lend()?;
    from.lend()
}

#[test]
fn generic_associated_types() {
    let mut lines = Lines(vec!["a".into()]);
    let told = of(|| lend_twice(&mut lines).is_ok());
    assert_eq!(told[2], success("lend_twice", json!({}), json!("\"a\""))[0]);
    assert_eq!(told[1], success("lend", json!({}), json!("a"))[0]);
    let told = of(|| Lines(vec![]).lend().is_err());
    assert_eq!(told, ended("lend", Outcome::Failure, json!({}), "Bad: it is bad"));
}

trait Animal: Debug {
    fn name(&self) -> &str;

    #[audit_method]
    fn feed(&mut self, food: &str) -> String {
        format!("{} eats {food}", self.name())
    }

    #[audit_method(skip(self))]
    fn leave(self: Box<Self>) -> usize {
        self.name().len()
    }
}

#[derive(Debug)]
struct Cat;

impl Animal for Cat {
    fn name(&self) -> &'static str {
        "cat"
    }
}

impl<T: Animal + ?Sized> Animal for Box<T> {
    #[audit_method]
    fn name(&self) -> &str {
        (**self).name()
    }
}

#[test]
fn trait_objects_and_unsized_types() {
    #[audit_method]
    fn size<T: Display + ?Sized>(value: &T) -> usize {
        value.to_string().len()
    }

    let mut cat: Box<dyn Animal> = Box::new(Cat);
    let told = of(|| cat.as_mut().feed("fish"));
    let input = json!({"self": "Cat", "food": "fish"});
    assert_eq!(told, success("feed", input, json!("cat eats fish")));
    let told = of(|| cat.name().len());
    assert_eq!(told, success("name", json!({"self": "Cat"}), json!("cat")));
    // `self` is a box, which is itself an animal here: its `name` is called in `leave`.
    assert_eq!(of(|| cat.leave())[1], success("leave", json!({}), json!(3))[0]);
    assert_eq!(of(|| size("abc")), success("size", json!({"value": "<&str>"}), json!(3)));
}

enum Either {
    Left(u8),
    Right(u8),
}

macro_rules! pair {
    ($a:ident, $b:ident) => {
        ($a, $b)
    };
}

#[test]
fn rare_patterns() {
    #[audit_method]
    fn either((Either::Left(n) | Either::Right(n)): Either, ref mut text: String) -> String {
        text.push('!');
        format!("{n}{text}")
    }
    // What a macro binds is not known to the attribute.
    #[audit_method]
    fn by_macro(pair!(a, b): (u8, u8), mut whole @ (c, _): (u8, u8)) -> u8 {
        whole.1 += 1;
        a + b + c + whole.1
    }

    let told = of(|| either(Either::Left(1), "a".into()));
    assert_eq!(told, success("either", json!({"n": 1, "text": "a"}), json!("1a!")));
    assert_eq!(of(|| either(Either::Right(2), "b".into()))[0]["out"], "2b!");
    let told = of(|| by_macro((1, 2), (3, 4)));
    assert_eq!(told, success("by_macro", json!({"whole": [3, 4], "c": 3}), json!(11)));
}

#[test]
fn boxed_futures_of_generic_functions() {
    #[audit_method(skip(now))]
    fn run<'a, T, F>(now: F, name: &'a str) -> BoxFuture<'a, Result<T, Bad>>
    where
        T: Send + 'a,
        F: FnOnce(&str) -> Option<T>,
    {
        let value = now(name);
        Box::pin(async move { value.ok_or(Bad) })
    }
    #[audit_method]
    async fn inner(n: u8) -> impl Future<Output = u8> {
        async move { n }
    }

    #[audit_method]
    async fn boxed(n: u8) -> BoxFuture<'static, u8> {
        Box::pin(async move { n })
    }

    assert_eq!(of_async(async { boxed(1).await.await })[0]["in"], json!({"n": 1}));
    let local = String::from("x");
    let told = of(|| block_on(run(|name| Some(name.len() + local.len()), "ab")));
    assert_eq!(told[0]["in"], json!({"name": "ab"}));
    assert_eq!(told[0]["outcome"], "success");
    let told = of(|| block_on(run(|_| None::<u8>, "ab")));
    assert_eq!(told, ended("run", Outcome::Failure, json!({"name": "ab"}), "Bad: it is bad"));
    let told = of_async(async { inner(1).await.await });
    assert_eq!(told[0]["outcome"], "success");
}

#[test]
fn invariant_and_nested_borrows() {
    #[audit_method(skip(words))]
    fn longest<'w, 't: 'w>(words: &'w mut Vec<&'t str>, word: &'t str) -> &'w mut &'t str {
        words.push(word);
        words.last_mut().expect("one was pushed")
    }
    #[audit_method(skip(out))]
    async fn fill<'o>(out: &mut Option<&'o str>, text: &'o str) {
        tokio::task::yield_now().await;
        *out = Some(text);
    }
    #[audit_method]
    fn halves(values: &mut [u8]) -> (&mut [u8], &mut [u8]) {
        values.split_at_mut(values.len() / 2)
    }

    let mut words = vec!["a"];
    let told = of(|| *longest(&mut words, "bc") = "d");
    assert_eq!(told, success("longest", json!({"word": "bc"}), json!("bc")));
    assert_eq!(words, ["a", "d"]);
    let (text, mut out) = ("text".to_owned(), None);
    let records = block_on(testing::capture_async(fill(&mut out, &text)));
    assert_eq!(crate::told::told(&records), no_output("fill", json!({"text": "text"})));
    assert_eq!(out, Some("text"));
    let told = of(|| halves(&mut [1, 2]).0[0] = 3);
    assert_eq!(told, success("halves", json!({"values": [1, 2]}), json!([[1], [2]])));
}

/// A type that is an error, or `Debug`, only for parameters that outlive `'static`: method lookup does not ask
/// for that, and the compiler would refuse it afterwards.
#[test]
fn errors_of_static_parameters_alone() {
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
