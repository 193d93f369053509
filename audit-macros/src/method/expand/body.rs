//! The user's body, and the statements in front of it that bind the parameters again.

use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Attribute, FnArg, Pat, PatType, ReceiverKind, Type};

use super::capture::{self, Position};
use super::expansion::{Expansion, allow_expected, allow_underscore_use, cfgs, part_of_pattern};
use super::{pattern, refuse};
use crate::method::model::{is_plain, parameter_ident};

/// Output: `match () { () => body }`
///
/// A match arm drops the temporaries of the body's tail expression before the parameters are
/// dropped, as the end of a function does. A block does so only since edition 2024.
pub(crate) fn body(expansion: &Expansion<'_>) -> TokenStream {
    let body = refuse::body_with_refusal(expansion);
    let (head, arrow) = (quote!(match ()), quote!(() =>));
    quote!(#head { #arrow #body })
}

/// Output: `capture the arguments; let a = a; record the details; Input::done(input);`
///
/// Arguments are captured before they are bound again, so that the compiler still reports those
/// that the body does not use.
pub(crate) fn capture_and_bind(expansion: &Expansion<'_>) -> TokenStream {
    let receiver = use_whole_receiver(expansion);
    let end = details_and_end(expansion);
    let inputs = expansion.function.sig.inputs.iter().enumerate();
    if expansion.has_only_plain_parameters() {
        let arguments = capture::arguments(expansion, Position::BeforeBinding);
        let bind = inputs.filter_map(|(index, input)| match input {
            FnArg::Typed(typed) => Some(bind_parameter(expansion, index, typed)),
            FnArg::Receiver(_) => None,
        });
        return quote!(#receiver #arguments #(#bind)* #end);
    }
    // A pattern is taken apart before its names are captured, and each parameter must be bound in
    // its turn. So each is captured in its turn, too.
    let each = inputs.map(|(index, input)| {
        let capture = capture::parameter(expansion, index);
        match input {
            FnArg::Receiver(_) => capture,
            FnArg::Typed(typed) if is_plain(&typed.pat) => {
                let bind = bind_parameter(expansion, index, typed);
                quote!(#capture #bind)
            }
            FnArg::Typed(typed) => bind_pattern(expansion, index, typed, &capture),
        }
    });
    quote!(#receiver #(#each)* #end)
}

/// Output: `if Input::is_recorded(&input) { … } Input::done(input);`
pub(crate) fn details_and_end(expansion: &Expansion<'_>) -> TokenStream {
    let (details, end) = (capture::details(expansion), refuse::end_input(expansion));
    quote!(#details #end)
}

/// Output: `let a = a;`
///
/// Binds a parameter again inside the closure or the async block. So all of them move in, and are
/// dropped in reverse order, like those of the original function.
fn bind_parameter(expansion: &Expansion<'_>, index: usize, typed: &PatType) -> TokenStream {
    let ident = expansion.hidden(&parameter_ident(typed, index));
    let value = value_of_parameter(expansion, index, &ident);
    let attrs = binding_attrs(typed);
    // Clippy reports that it is the user who shadows here, because the name is the user's.
    let allow = (!expansion.hides_parameters).then(|| {
        let underscore = allow_underscore_use(&ident);
        quote!(#[allow(clippy::shadow_same)] #underscore)
    });
    let (pat, let_, is, end) = (&typed.pat, quote!(let), quote!(=), quote!(;));
    if ident.to_string().starts_with('_') {
        // Clippy reports `let _x = x` as having no effect, but not if it takes something apart.
        quote!(#(#attrs)* #allow #let_ (#pat,) #is (#value,) #end)
    } else {
        quote!(#(#attrs)* #allow #let_ #pat #is #value #end)
    }
}

fn value_of_parameter(expansion: &Expansion<'_>, index: usize, ident: &Ident) -> TokenStream {
    match expansion.loan(index) {
        Some(loan) => quote!(#loan.__audited_lend()),
        None => quote!(#ident),
    }
}

/// The attributes of a parameter that also concern the `let` that binds it again.
pub(crate) fn binding_attrs(typed: &PatType) -> impl Iterator<Item = Attribute> + Clone + '_ {
    const NAMES: &[&str] = &["cfg", "cfg_attr", "allow", "expect", "warn", "deny", "forbid"];
    let applies = |attr: &&Attribute| NAMES.iter().any(|name| attr.path().is_ident(name));
    typed.attrs.iter().filter(applies).cloned()
}

/// Output:
/// ```text
/// let __argument_1 = __argument_1;
/// let (part_1_0, _) = __argument_1;
/// capture the parts;
/// let (mut x,) = (part_1_0,);
/// ```
///
/// The names of the body are bound after the capture, as in [`bind_parameter`].
fn bind_pattern(
    expansion: &Expansion<'_>,
    index: usize,
    typed: &PatType,
    capture: &TokenStream,
) -> TokenStream {
    let ident = expansion.hidden(&parameter_ident(typed, index));
    let value = value_of_parameter(expansion, index, &ident);
    let cfgs = cfgs(&typed.attrs);
    let (parts, names) = pattern::split(&typed.pat, index);
    let mutability = pattern::has_ref_mut(&typed.pat).then(|| quote!(mut));
    let mut whole = quote!(#cfgs let #mutability #ident = #value;);
    match &*typed.pat {
        Pat::Wild(_) => return whole,
        // The type of the whole value decides how its parts are recorded.
        Pat::TupleStruct(_) => {
            let (private, bindings) = (&expansion.private, expansion.pattern(index));
            let lookup = quote!(#private::pattern(&#ident).__audited_bindings());
            whole.extend(quote!(#cfgs let #bindings = #lookup;));
        }
        _ => {}
    }
    let (attrs, let_, is, end) = (binding_attrs(typed), quote!(let), quote!(=), quote!(;));
    let attrs_of_parts = attrs.clone().map(|mut attr| {
        allow_expected(&mut attr);
        attr
    });
    let parts = quote!(#(#attrs_of_parts)* #let_ #parts #is #ident #end);
    if names.is_empty() {
        return quote!(#whole #parts);
    }
    let locals = (0..names.len()).map(|nth| part_of_pattern(index, nth));
    quote!(#whole #parts #capture #(#attrs)* #let_ (#(#names,)*) #is (#(#locals,)*) #end)
}

/// Output: `if false { self = unreachable_value(); } let _ = &self;` where `self` is a value.
///
/// Since edition 2021, a closure moves in only the fields that its body names. The function would
/// drop the rest later, in another order than the original function.
///
/// A function may assign to a field of `self` that is then only dropped. In a closure the compiler
/// sees the drop only if `self` is assigned somewhere: the branch that is never taken does that.
fn use_whole_receiver(expansion: &Expansion<'_>) -> Option<TokenStream> {
    let Some(FnArg::Receiver(receiver)) = expansion.function.sig.inputs.first() else {
        return None;
    };
    let is_reference = match &receiver.kind {
        ReceiverKind::Value => false,
        ReceiverKind::Typed(_, ty) => matches!(&**ty, Type::Reference(_)),
        _ => true,
    };
    if is_reference {
        return None;
    }
    let this = Ident::new("self", receiver.self_token.span);
    let private = &expansion.private;
    // A `mut self` that is never assigned must still be reported as `unused_mut`.
    let assigns =
        receiver.mutability.is_some() && assigns_to_self(expansion.function.body.to_token_stream());
    let assign = assigns.then(|| quote!(if false { #this = #private::unreachable_value(); }));
    Some(quote!(#assign let _ = &#this;))
}

/// Whether tokens contain `self.a.b =`, or the like with `+=`.
fn assigns_to_self(tokens: TokenStream) -> bool {
    // Whether the tokens before are a place such as `self.a[0].b`.
    let mut is_place = false;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Group(group) => {
                if assigns_to_self(group.stream()) {
                    return true;
                }
                is_place &= group.delimiter() == Delimiter::Bracket;
            }
            TokenTree::Ident(ident) if ident == "self" => is_place = true,
            TokenTree::Punct(punct) if is_place && punct.as_char() != '.' => {
                let is_before_equals =
                    matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == '=');
                // `=` but not `==` nor `=>`; `+=` but not `<=`, `>=` nor `!=`.
                match punct.as_char() {
                    '=' if punct.spacing() == Spacing::Alone => return true,
                    '+' | '-' | '*' | '/' | '%' | '^' | '&' | '|' if is_before_equals => {
                        return true;
                    }
                    _ => is_place = false,
                }
            }
            // Field names and the dots between them.
            _ => {}
        }
    }
    false
}
