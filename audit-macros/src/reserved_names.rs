//! Tests that the names of the user never win against those of an expansion.
//!
//! The user may have traits that are implemented for every type, with methods of any name, and
//! constants, statics and macros of any name. So an expansion uses only names that nobody else has:
//! absolute paths, and names that begin with `__audited`.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt;

use crate::tokens::{is_ident, is_punct};
use crate::{fields, method};

/// Items of our own traits. An expansion declares them, or names the trait with them.
const ITEMS_OF_TRAITS: &[&str] = &[
    "TYPE",
    "Snapshot",
    "type_paths",
    "target_id",
    "label",
    "snapshot",
    "compare",
    "describe",
    "refresh",
    "is_same",
    "compare_parts",
    "from_refused",
    "Output",
];

const KEYWORDS: &[&str] = &[
    "as", "async", "await", "const", "else", "extern", "false", "fn", "for", "if", "impl", "in",
    "let", "match", "move", "mut", "pub", "ref", "return", "self", "Self", "static", "struct",
    "type", "unsafe", "where", "_",
];

/// The names in `output` that come neither from `input` nor from a place that nobody else uses.
fn open_names(input: TokenStream, output: TokenStream) -> BTreeSet<String> {
    let (mut written, mut open) = (BTreeSet::new(), BTreeSet::new());
    for_each_name(input, &mut |name| {
        written.insert(name);
    });
    for_each_name(output, &mut |name| {
        let is_ours = KEYWORDS.contains(&name.as_str())
            || ITEMS_OF_TRAITS.contains(&name.as_str())
            || name.to_lowercase().starts_with("__audited");
        if !is_ours && !written.contains(&name) {
            open.insert(name);
        }
    });
    open
}

/// Calls `f` with each identifier, except those in `::audited::…`, in attributes and in lifetimes.
fn for_each_name(tokens: TokenStream, f: &mut impl FnMut(String)) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_colons =
        |at: usize| is_punct(tokens.get(at), ':') && is_punct(tokens.get(at.wrapping_add(1)), ':');
    let mut at = 0;
    while at < tokens.len() {
        if is_colons(at) && is_ident(tokens.get(at + 2), "audited") {
            at += 3;
            while is_colons(at) && matches!(tokens.get(at + 2), Some(TokenTree::Ident(_))) {
                at += 3;
            }
            continue;
        }
        match &tokens[at] {
            TokenTree::Group(group) => {
                let is_attribute = group.delimiter() == Delimiter::Bracket
                    && at > 0
                    && is_punct(tokens.get(at - 1), '#');
                if !is_attribute {
                    for_each_name(group.stream(), f);
                }
            }
            TokenTree::Ident(ident) if at == 0 || !is_punct(tokens.get(at - 1), '\'') => {
                f(ident.unraw().to_string());
            }
            _ => {}
        }
        at += 1;
    }
}

#[track_caller]
fn assert_only_reserved(input: TokenStream, output: TokenStream) {
    let text = output.to_string();
    assert!(!text.contains("compile_error"), "{text}");
    let open = open_names(input, output);
    assert!(open.is_empty(), "these names may be the user's: {open:?}, in\n{text}");
}

/// Functions of each kind that is expanded in its own way.
fn functions() -> Vec<TokenStream> {
    vec![
        quote!(
            fn f(a: A) {}
        ),
        quote!(
            fn f(a: A, (b, _): B, _c: &C) -> R {
                a
            }
        ),
        quote!(
            fn f(&mut self, a: &mut A, b: B) -> R {
                a
            }
        ),
        quote!(
            fn f(mut self, a: A) -> R {
                self.b = a
            }
        ),
        quote!(
            fn f<'a>(&'a mut self, a: &'a mut A) -> &'a R {
                a
            }
        ),
        quote!(
            fn f(a: A) -> Result<T, E<T>> {
                a
            }
        ),
        quote!(
            fn f(a: A) -> Result<impl T, E> {
                a
            }
        ),
        quote!(
            fn f(a: A) -> impl T {
                a
            }
        ),
        quote!(
            fn f(a: A) -> impl Fn(A) -> R {
                a
            }
        ),
        quote!(
            fn f(a: A) -> impl Serialize {
                a
            }
        ),
        quote!(
            fn f(a: A) -> impl Debug {
                a
            }
        ),
        quote!(
            fn f(a: A) -> impl IntoResponse {
                a
            }
        ),
        quote!(
            fn f(B(a): A) -> R {
                a
            }
        ),
        quote!(
            fn f(a: A) -> ! {
                a
            }
        ),
        quote!(
            fn f(a: A) -> Pin<Box<dyn Future<Output = R> + Send>> {
                Box::pin(async move { a })
            }
        ),
        quote!(
            fn f(a: A) -> impl Future<Output = R> {
                async move { a }
            }
        ),
        quote!(
            fn f(a: A) -> impl Future<Output = impl T> {
                async move { a }
            }
        ),
        quote!(
            #[track_caller]
            fn f(a: A) -> R {
                return a;
            }
        ),
        quote!(
            #[track_caller]
            fn f(a: A) -> Result<impl T, E> {
                a
            }
        ),
        quote!(
            async fn f(a: A, (b, _): B, _c: &C) -> R {
                a
            }
        ),
        quote!(
            async fn f(&mut self, a: &mut A, b: B) -> R {
                a
            }
        ),
        quote!(
            async fn f(a: A) -> impl T {
                a
            }
        ),
        quote!(
            async fn f(a: A) -> Result<impl T, E> {
                a
            }
        ),
        quote!(
            async fn f(a: A) -> ! {
                a
            }
        ),
    ]
}

#[test]
fn the_expansion_of_a_function_has_no_name_that_the_user_may_have() {
    let all = quote! {
        action = "a", target = ("a", 1), reason = "r", fields(x = 1), capture = "full",
        log = "info", durability = "power", debug(a)
    };
    for arguments in [quote!(), all, quote!(skip_all), quote!(redact(a), skip_output)] {
        for function in functions() {
            let output = method::expand_attribute(arguments.clone(), function.clone());
            assert_only_reserved(quote!(#arguments #function), output);
        }
    }
}

#[test]
fn the_expansion_with_a_test_of_the_value_has_no_name_that_the_user_may_have() {
    let arguments = quote!(failed_if = |r| r.is_bad());
    for function in [
        quote!(
            fn f(a: A) -> R {
                a
            }
        ),
        quote!(
            #[track_caller]
            fn f(a: A) -> R {
                return a;
            }
        ),
        quote!(
            async fn f(a: A) -> impl IntoResponse {
                a
            }
        ),
        quote!(
            fn f(a: A) -> impl Future<Output = R> {
                async move { a }
            }
        ),
    ] {
        let output = method::expand_attribute(arguments.clone(), function.clone());
        assert_only_reserved(quote!(#arguments #function), output);
    }
}

#[test]
fn the_expansion_of_a_refused_function_has_no_name_that_the_user_may_have() {
    let arguments = quote!(on_audit_failure = "refuse");
    for function in [
        quote!(
            fn f(a: A) -> Result<T, E> {
                a
            }
        ),
        quote!(
            fn f(&mut self, a: &mut A) -> Result<T, E> {
                a
            }
        ),
        quote!(
            async fn f(a: A) -> Result<T, E> {
                a
            }
        ),
        quote!(
            #[track_caller]
            fn f(a: A) -> Result<T, E> {
                a
            }
        ),
        quote!(
            fn f(a: A) -> Pin<Box<dyn Future<Output = R> + Send>> {
                Box::pin(async move { a })
            }
        ),
        quote!(
            fn f(a: A) -> impl Future<Output = R> {
                async move { a }
            }
        ),
    ] {
        let output = method::expand_attribute(arguments.clone(), function.clone());
        assert_only_reserved(quote!(#arguments #function), output);
    }
}

#[test]
fn a_name_that_the_user_may_have_is_found() {
    let output = quote! {
        #[attribute] fn f<'a>(b: ::audited::call::Call) { call.run(__audited_call.__audited_run()); }
    };
    let open = open_names(quote!(fn f(b: B)), output);
    assert_eq!(open, BTreeSet::from(["call".to_owned(), "run".to_owned()]));
}

#[test]
fn the_expansion_of_a_struct_has_no_name_that_the_user_may_have() {
    let arguments = quote! {
        a(was = "x", rename = "y"), b(debug), c(redact), d(with = p), e(redact, with = p), g(set);
        key = i, label = a, name = "n", was = "m", parent = P(j)
    };
    let item = quote! {
        struct S { i: I, j: J, a: A, b: B, c: C, d: D, e: E, g: G }
    };
    let with_derive = fields::expand_attribute(arguments.clone(), item.clone());
    let output = fields::expand_derive(with_derive);
    assert_only_reserved(quote!(#arguments #item), output);
}

#[test]
fn the_derive_of_comparisons_has_no_name_that_the_user_may_have() {
    for item in [
        quote!(
            struct S {
                a: A,
                #[serde(flatten)]
                b: B,
                #[compare(set)]
                c: C,
                #[serde(with = "p")]
                d: D,
            }
        ),
        quote!(
            struct S<T>(T, A);
        ),
        quote!(
            enum E {
                A(A),
                B { b: B, c: C },
                C,
            }
        ),
        quote!(
            #[serde(tag = "kind", content = "value")]
            enum E {
                A(A, B),
            }
        ),
        quote!(
            #[serde(untagged)]
            enum E {
                A { a: A },
            }
        ),
    ] {
        let output = fields::expand_compare_parts(item.clone());
        assert_only_reserved(item, output);
    }
}
