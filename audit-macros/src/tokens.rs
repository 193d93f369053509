//! Small helpers for token trees and attributes.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::Attribute;
use syn::ext::IdentExt;

/// Whether `test` holds for any token, at any depth.
pub(crate) fn any_token(tokens: TokenStream, test: &impl Fn(&TokenTree) -> bool) -> bool {
    tokens.into_iter().any(|token| match &token {
        TokenTree::Group(group) => any_token(group.stream(), test),
        other => test(other),
    })
}

pub(crate) fn is_punct(token: Option<&TokenTree>, c: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == c)
}

pub(crate) fn is_ident(token: Option<&TokenTree>, name: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == name)
}

/// The group with other tokens inside. Delimiter and span stay, and with the span the edition.
pub(crate) fn with_content(group: &Group, content: TokenStream) -> TokenTree {
    let mut new = Group::new(group.delimiter(), content);
    new.set_span(group.span());
    new.into()
}

/// Input:  `Vec<Self>`, `Self::Item`
///
/// Output: `Vec<Pilot>`, `<Pilot>::Item`, for use where `Self` would be another type.
pub(crate) fn replace_self(tokens: TokenStream, own_type: &TokenStream) -> TokenStream {
    let mut output = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident) if ident == "Self" => {
                let is_path = is_punct(tokens.peek(), ':');
                output.extend(if is_path { quote!(<#own_type>) } else { own_type.clone() });
            }
            TokenTree::Group(group) => {
                output.extend([with_content(&group, replace_self(group.stream(), own_type))]);
            }
            other => output.extend([other]),
        }
    }
    output
}

/// Tokens as a person would write them: `shop::Order<T>`.
pub(crate) fn to_source_text(tokens: &TokenStream) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut text = String::new();
    for word in tokens.to_string().split_whitespace() {
        if text.ends_with(is_word) && word.starts_with(is_word) || text.ends_with(',') {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

/// The name of the type at its place, but as if the derive had written it. So the compiler does
/// not report the use of a deprecated type in generated code.
pub(crate) fn as_generated(ident: &Ident) -> Ident {
    // An identifier of the user's edition may be a keyword in ours.
    Ident::new_raw(&ident.unraw().to_string(), Span::call_site().located_at(ident.span()))
}

/// Input:  `#[allow(lints)]` or `#[expect(lints)]` on the type
///
/// Output: `#[allow(lints)]` for the generated code
pub(crate) fn inherited_allow(attr: &Attribute) -> Option<TokenStream> {
    let is_inherited = attr.path().is_ident("allow") || attr.path().is_ident("expect");
    let syn::Meta::List(list) = &attr.meta else { return None };
    let lints = &list.tokens;
    is_inherited.then(|| quote!(#[allow(#lints)]))
}

/// A local variable of the expansion. User code can neither see nor shadow it.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// `#[cfg(…)]`
pub(crate) fn is_cfg(attr: &Attribute) -> bool {
    attr.path().is_ident("cfg")
}
