//! `#[track_caller] fn` and `fn -> impl Trait`: the body where it was, under a guard.
//!
//! A closure can't bear `#[track_caller]`, so a body in it would see itself as the caller; and a closure
//! that is returned as `impl Fn` must stand where the signature's bounds reach it. The price: what the
//! function returns by `?`, or by a `return` hidden in a macro, is not seen; the guard then tells only that
//! it returned.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Block, Expr, ExprAsync, ExprClosure, ExprReturn, Item, ReturnType, Signature, Type,
    parse_quote, parse2,
};

use super::{Parts, local};
use crate::model::after_empty_statement;
use crate::returns::Returns;

/// Input:  `#[track_caller] fn f(a: A) -> R { body }`
///
/// Output:
/// ```text
/// #[track_caller] fn f(a: A) -> R {
///     let mut call = enter(site);
///     let mut input = call.input();
///     capture;
///     let mut guard = call.guard::<R>();
///     let out: R = match () { () if false => conjure::<R>(), () => { body } };
///     return { finish; out };
/// }
/// ```
/// with every `return e` of the body as `return { let out: R = e; finish; out }`.
pub(super) fn expand(parts: &Parts<'_>) -> (Signature, TokenStream) {
    let Parts { call, out, returns, .. } = parts;
    let enter = parts.enter();
    let (sig, capture) = signature_and_capture(parts);
    let guard = local("__audited_guard");
    let Returns::Plain(ty) = returns else {
        // Not within a `match`: an arm would hide from a closure what the signature expects of it.
        let body = after_empty_statement(&parts.function.body);
        // The type can't be named; what looks like a `Result` must not be taken for a success.
        let held = if looks_like_result(&sig.output) {
            let private = &parts.private;
            quote!(#private::Unseen)
        } else {
            quote!(())
        };
        let hold = quote!(let #guard = #call.guard::<#held, _>(|| ()););
        return (sig, quote!(#enter #capture #hold #body));
    };
    let finish = parts.finish(&quote!((*#guard)), &quote!(#out));
    let body = returns_seen(parts, ty, &finish);
    let hold = quote!(let mut #guard = #call.guard::<#ty, _>(|| ()););
    let tail = quote! {
        return { #finish #out };
    };
    // After a body that never ends, ours is reached by an edge that is never taken.
    let private = &parts.private;
    let bind = quote! {
        let #out: #ty = match () { () if false => #private::conjure::<#ty>(), () => #body };
    };
    let admit = parts.plan.refuses().then(|| {
        parts.refuse_by(|refused| quote!(return { let #out: #ty = #refused; #finish #out };))
    });
    (sig, quote!(#enter #capture #hold #admit #bind #tail))
}

/// The parameters stay where they are, for they must outlive what the body's tail borrows; only for an
/// argument `_name` they are hidden, where a `match` ends the tail before them.
fn signature_and_capture(parts: &Parts<'_>) -> (Signature, TokenStream) {
    let bindings = parts.function.bindings();
    let has_underscore = bindings.iter().any(|binding| binding.name.starts_with('_'));
    let is_plain = matches!(parts.returns, Returns::Plain(_)) && parts.are_all_plain();
    if parts.hides && has_underscore && is_plain {
        let (tell, capture) = (parts.tell_unwatched(true), parts.rebind_and_capture());
        return (parts.signature(), quote!(#tell #capture));
    }
    let (arguments, done) = (parts.arguments(false), parts.about_and_done());
    let tell = parts.tell_unwatched(false);
    (parts.function.sig.clone(), quote!(#tell #arguments #done))
}

/// Whether the return type is called `Result`, or something like `IoResult`.
fn looks_like_result(output: &ReturnType) -> bool {
    let ReturnType::Type(_, ty) = output else { return false };
    matches!(&**ty, Type::Path(path) if path.path.segments.last()
        .is_some_and(|last| last.ident.to_string().ends_with("Result")))
}

/// The body with its visible `return`s recorded. A body that can't be parsed stays as it is.
fn returns_seen(parts: &Parts<'_>, ty: &syn::Type, finish: &TokenStream) -> TokenStream {
    let body = parts.function.body.to_token_stream();
    let Ok(mut block) = parse2::<Block>(body.clone()) else { return body };
    SeeReturns { parts, ty, finish }.visit_block_mut(&mut block);
    block.into_token_stream()
}

struct SeeReturns<'a> {
    parts: &'a Parts<'a>,
    ty: &'a syn::Type,
    finish: &'a TokenStream,
}

impl VisitMut for SeeReturns<'_> {
    fn visit_expr_return_mut(&mut self, node: &mut ExprReturn) {
        visit_mut::visit_expr_return_mut(self, node);
        let (out, ty, finish) = (&self.parts.out, self.ty, self.finish);
        let value: Expr = node.expr.take().map_or_else(|| parse_quote!(()), |value| *value);
        let seen = quote!({ let #out: #ty = #value; #finish #out });
        node.expr = parse2(seen).ok().map(Box::new);
    }

    // A `return` in any of these leaves only them.
    fn visit_expr_closure_mut(&mut self, _: &mut ExprClosure) {}
    fn visit_expr_async_mut(&mut self, _: &mut ExprAsync) {}
    fn visit_item_mut(&mut self, _: &mut Item) {}
}
