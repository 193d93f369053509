//! `#[track_caller] fn` and `fn -> impl Trait`: the body stays in place, under a guard.
//!
//! A closure can't have `#[track_caller]`, so a body in it would see the expansion as its caller. A
//! closure that is returned as `impl Fn` must stand where the bounds of the signature reach it. The
//! price: the guard sees only that the function returned, not what it returned by `?` or by a
//! `return` in a macro.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Block, Expr, ExprAsync, ExprClosure, ExprReturn, FnArg, Item, Signature, Type, parse_quote,
    parse2,
};

use super::capture::{self, Position};
use super::expansion::{Expansion, allow_instead_of_expect};
use super::{body, call, refuse, watch};
use crate::method::fragments::with_empty_statement;
use crate::method::model::Binding;
use crate::method::return_kind::{ReturnKind, is_response};
use crate::method::type_spelling::{looks_like_future, looks_like_result};
use crate::tokens::{any_token, local};

/// Input:  `#[track_caller] fn f(a: A) -> R { body }`
///
/// Output:
/// ```text
/// #[track_caller] fn f(a: A) -> R {
///     let mut call = enter(call site);
///     let mut input = Call::input(&call);
///     capture;
///     let mut guard = Call::guard::<R, _>(&mut call, || ());
///     let output: R = match () { () if false => unreachable_value::<R>(), () => { body } };
///     return { finish; output };
/// }
/// ```
/// with every `return e` of the body as `return { let output: R = e; finish; output }`.
///
/// Without a type that can be named:
/// ```text
/// fn f(a: A) -> impl Trait {
///     let mut call = enter(call site);
///     let mut input = Call::input(&call);
///     capture;
///     let guard = Call::guard::<(), _>(&mut call, || ());
///     { ; body }
/// }
/// ```
pub(crate) fn expand_in_place(expansion: &Expansion<'_>) -> (Signature, TokenStream) {
    let enter = call::enter(expansion);
    let (sig, capture) = signature_and_capture(expansion);
    let run = match &expansion.return_kind {
        ReturnKind::Nameable(ty) => run_named(expansion, ty),
        _ => run_unnamed(expansion),
    };
    (sig, quote!(#enter #capture #run))
}

fn run_named(expansion: &Expansion<'_>, ty: &Type) -> TokenStream {
    let Expansion { private, call, output, args, function, .. } = expansion;
    let guard = local("__audited_guard");
    let finish = call::finish(expansion, &quote!((*#guard)), output);
    let returns = RecordReturns { expansion, ty, finish: &finish };
    let body = returns.rewrite(function.body.to_token_stream());
    let guarded = match &args.args.failed_if {
        // Without the value, it is not known whether the call has failed.
        Some(_) => quote!(#private::UnnamedResult),
        None => quote!(#ty),
    };
    let hold = quote!(let mut #guard = #private::Call::guard::<#guarded, _>(&mut #call, || ()););
    let refuse = args.refuses().then(|| {
        refuse::refuse_or_continue(
            expansion,
            |refused| quote!(return { let #output: #ty = #refused; #finish #output };),
        )
    });
    // After a body that never ends, the statements below are reached by the arm that is never
    // taken.
    quote! {
        #hold
        #refuse
        let #output: #ty = match () { () if false => #private::unreachable_value::<#ty>(), () => #body };
        return { #finish #output };
    }
}

fn run_unnamed(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { private, call, function, .. } = expansion;
    let guard = local("__audited_guard");
    // Not in a `match`: an arm would hide from a closure what the signature expects of it.
    let body = with_empty_statement(&function.body);
    // The type can't be named, but an error, a failing status or a future must not be recorded as a
    // success.
    let sig_output = &function.sig.output;
    let guarded = if looks_like_result(sig_output) || is_response(sig_output) {
        quote!(#private::UnnamedResult)
    } else if looks_like_future(sig_output) {
        quote!(#private::UnfollowedFuture)
    } else {
        quote!(())
    };
    quote!(let #guard = #private::Call::guard::<#guarded, _>(&mut #call, || ()); #body)
}

/// The signature, and the statements that capture the arguments.
///
/// Where the body stands in a `match`, the parameters are bound again, as in a closure. Elsewhere
/// they stay as they are, because they must outlive what the tail expression borrows.
fn signature_and_capture(expansion: &Expansion<'_>) -> (Signature, TokenStream) {
    if matches!(expansion.return_kind, ReturnKind::Nameable(_)) {
        let unseen = watch::report_unseen(expansion, Position::BeforeBinding);
        let capture = body::capture_and_bind(expansion);
        return (expansion.signature(), quote!(#unseen #capture));
    }
    let unseen = watch::report_unseen(expansion, Position::InSignature);
    let arguments = capture::arguments(expansion, Position::InSignature);
    let unused = report_unused(expansion);
    let end = body::details_and_end(expansion);
    let mut sig = expansion.function.sig.clone();
    allow_instead_of_expect(&mut sig);
    (sig, quote!(#unseen #arguments #end #unused))
}

/// Output: `let a = &a;` for each name that the body does not mention, so that the compiler reports
/// it as unused although the capture has used it.
fn report_unused(expansion: &Expansion<'_>) -> TokenStream {
    let body = expansion.function.body.to_token_stream();
    let bindings = expansion.function.bindings();
    let unused = bindings.iter().filter(|Binding { ident, name, .. }| {
        let mentions = |token: &TokenTree| match token {
            TokenTree::Ident(mentioned) => mentioned.unraw() == *name,
            // `"{a}"`
            TokenTree::Literal(text) => text.to_string().contains(name.as_str()),
            _ => false,
        };
        ident != "self" && !name.starts_with('_') && !any_token(body.clone(), &mentions)
    });
    let report = unused.map(|Binding { ident, parameter, .. }| {
        let attrs = match &expansion.function.sig.inputs[*parameter] {
            FnArg::Typed(typed) => Some(body::binding_attrs(typed)),
            FnArg::Receiver(_) => None,
        };
        let (attrs, let_) = (attrs.into_iter().flatten(), quote!(let));
        quote!(#(#attrs)* #let_ #ident = &#ident;)
    });
    report.collect()
}

/// Rewrites the visible `return`s of a body.
///
/// Input:  `return value`
///
/// Output: `return { let output: R = value; finish; output }`
struct RecordReturns<'a> {
    expansion: &'a Expansion<'a>,
    ty: &'a Type,
    finish: &'a TokenStream,
}

impl RecordReturns<'_> {
    /// A body that can't be parsed stays as it is.
    fn rewrite(mut self, body: TokenStream) -> TokenStream {
        let Ok(mut block) = parse2::<Block>(body.clone()) else { return body };
        self.visit_block_mut(&mut block);
        block.into_token_stream()
    }
}

impl VisitMut for RecordReturns<'_> {
    fn visit_expr_return_mut(&mut self, node: &mut ExprReturn) {
        visit_mut::visit_expr_return_mut(self, node);
        let (output, ty, finish) = (&self.expansion.output, self.ty, self.finish);
        let value: Expr = node.expr.take().map_or_else(|| parse_quote!(()), |value| *value);
        let recorded = quote!({ let #output: #ty = #value; #finish #output });
        node.expr = parse2(recorded).ok().map(Box::new);
    }

    // A `return` in any of these returns from them, not from the function.
    fn visit_expr_closure_mut(&mut self, _: &mut ExprClosure) {}
    fn visit_expr_async_mut(&mut self, _: &mut ExprAsync) {}
    fn visit_item_mut(&mut self, _: &mut Item) {}
}
