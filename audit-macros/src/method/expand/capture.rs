//! Tokens that record the arguments, and what `target`, `reason` and `fields` say.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, FnArg, ReceiverKind, Token};

use super::expansion::{Expansion, allow_underscore_use, cfgs};
use crate::method::model::Binding;
use crate::method::validate::CaptureMode;

/// Where statements stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// Before the names of the body are bound: parameters have the names of
    /// [`Expansion::signature`].
    BeforeBinding,
    /// In a body that stays in place: the patterns of the signature bind the names.
    InSignature,
}

/// Output:
/// ```text
/// if let Some(buffer) = Input::wanted(&mut input) {
///     argument(&a).__audited_checked().__audited_record(buffer, "a"); …
/// }
/// ```
pub(crate) fn arguments(expansion: &Expansion<'_>, position: Position) -> TokenStream {
    if_wanted(expansion, each_argument(expansion, position, |_| true))
}

/// As [`arguments`], for the parameter at `index` alone. It stands before the names of the body are
/// bound.
pub(crate) fn parameter(expansion: &Expansion<'_>, index: usize) -> TokenStream {
    let is_it = |binding: &Binding<'_>| binding.parameter == index;
    if_wanted(expansion, each_argument(expansion, Position::BeforeBinding, is_it))
}

fn each_argument(
    expansion: &Expansion<'_>,
    position: Position,
    is_captured: impl Fn(&Binding<'_>) -> bool,
) -> TokenStream {
    let bindings = expansion.function.bindings();
    let each = bindings.iter().filter(|binding| is_captured(binding));
    each.filter_map(|binding| argument(expansion, binding, position)).collect()
}

fn if_wanted(expansion: &Expansion<'_>, each: TokenStream) -> TokenStream {
    if each.is_empty() {
        return each;
    }
    let Expansion { private, input, buffer, .. } = expansion;
    quote!(if let #private::Some(#buffer) = #private::Input::wanted(&mut #input) { #each })
}

/// Whether the receiver is `&self`, or one whose form does not show that nothing else can use it.
fn has_shared_receiver(expansion: &Expansion<'_>) -> bool {
    match expansion.function.sig.inputs.first() {
        Some(FnArg::Receiver(receiver)) => {
            !matches!(receiver.kind, ReceiverKind::Value | ReceiverKind::Reference(_, _, Some(_)))
        }
        _ => false,
    }
}

/// Output: `argument(&a).__audited_checked().__audited_record(buffer, "a");`
fn argument(
    expansion: &Expansion<'_>,
    binding: &Binding<'_>,
    position: Position,
) -> Option<TokenStream> {
    let Expansion { private, buffer, args, .. } = expansion;
    let name = &binding.name;
    let is_before = position == Position::BeforeBinding;
    let ident = if is_before { expansion.before_binding(binding) } else { binding.ident.clone() };
    let value = match expansion.loan_of(&binding.ident).filter(|_| is_before) {
        Some(loan) => quote!(#loan.__audited_argument()),
        None => quote!(&#ident),
    };
    let record = match args.capture_mode(name)? {
        CaptureMode::Value => match binding.pattern.filter(|_| position != Position::InSignature) {
            Some(index) => {
                let pattern = expansion.pattern(index);
                quote! {
                    #pattern.__audited_argument(#value)
                        .__audited_checked()
                        .__audited_record(#buffer, #name);
                }
            }
            None => {
                let lookup = if name == "self" && has_shared_receiver(expansion) {
                    quote!(receiver)
                } else {
                    quote!(argument)
                };
                quote! {
                    #private::#lookup(#value)
                        .__audited_checked()
                        .__audited_record(#buffer, #name);
                }
            }
        },
        CaptureMode::Debug => {
            quote!(#private::debug_argument(#value).__audited_record(#buffer, #name);)
        }
        CaptureMode::Redacted => quote!(#private::InputBuffer::redacted(#buffer, #name);),
    };
    let cfgs = cfgs(binding.attrs);
    let is_users = !is_before || !expansion.hides(binding);
    let allow = is_users.then(|| allow_underscore_use(&ident));
    Some(quote!(#cfgs #allow #record))
}

/// Output:
/// ```text
/// if Input::is_recorded(&input) {
///     Input::detail(&mut input, "target", |input| Input::target(input, …));
///     …
/// }
/// ```
///
/// The expressions stand in closures, so that a panic in one of them does not reach the caller.
pub(crate) fn details(expansion: &Expansion<'_>) -> TokenStream {
    let Expansion { private, input, args, .. } = expansion;
    let mut each = TokenStream::new();
    let mut add = |path: &str, record: TokenStream| {
        each.extend(quote!(#private::Input::detail(&mut #input, #path, |#input| #record);));
    };
    if let Some(target) = &args.args.target {
        let value = target_value(target);
        add("target", quote!(#private::Input::target(#input, #value)));
    }
    if let Some(reason) = &args.args.reason {
        let reason = borrow(reason);
        add("reason", quote!(#private::Input::reason(#input, #reason)));
    }
    for field in &args.args.fields {
        let (name, value) = (&field.name, borrow(&field.value));
        let record = quote!(#private::requested(#value).__audited_record_field(#input, #name));
        add(&format!("context.extra.{name}"), record);
    }
    if each.is_empty() { each } else { quote!(if #private::Input::is_recorded(&#input) { #each }) }
}

/// Input:  `("account", id)`
///
/// Output: `(&"account", &id,)`, with the span of the input, so that the compiler reports a wrong
/// type there.
fn target_value(target: &Expr) -> TokenStream {
    match tuple_elements(target) {
        Some(elements) => {
            let elements = elements.into_iter().map(borrow);
            quote_spanned!(target.span()=> (#(#elements,)*))
        }
        None => {
            let target = borrow(target);
            quote!(#target)
        }
    }
}

fn tuple_elements(expr: &Expr) -> Option<Vec<&Expr>> {
    match expr {
        Expr::Tuple(tuple) => Some(tuple.elems.iter().collect()),
        Expr::Paren(paren) => tuple_elements(&paren.expr),
        _ => None,
    }
}

/// Input:  `expr`
///
/// Output: `&expr`, in parentheses where they are needed. What is recorded is never moved.
fn borrow(expr: &Expr) -> Expr {
    Expr::Reference(syn::ExprReference {
        attrs: Vec::new(),
        and_token: Token![&](expr.span()),
        mutability: None,
        expr: Box::new(expr.clone()),
    })
}
