//! Compile errors of one attribute. They are collected, so that the user sees every mistake at
//! once.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::quote;

/// Compile errors in the order in which they were found.
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    pub(crate) fn push(&mut self, span: Span, message: impl Display) {
        self.add(syn::Error::new(span, message));
    }

    pub(crate) fn add(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn into_result(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }

    pub(crate) fn into_compile_errors(self) -> Option<TokenStream> {
        self.0.map(|errors| errors.into_compile_error())
    }
}

/// Output: the compile errors, and `item` as the user wrote it.
///
/// The item stays, so that editors still know it, and no second error about a missing item hides
/// the first.
pub(crate) fn item_with_errors(item: TokenStream, error: &syn::Error) -> TokenStream {
    let errors = error.to_compile_error();
    if is_closure(&item) {
        // A closure stands where one expression is expected.
        quote!({ #errors #item })
    } else {
        quote!(#errors #item)
    }
}

fn is_closure(item: &TokenStream) -> bool {
    let mut tokens = item.clone().into_iter().skip_while(|token| {
        matches!(token, TokenTree::Ident(ident)
            if ["async", "move", "static"].iter().any(|keyword| ident == keyword))
    });
    matches!(tokens.next(), Some(TokenTree::Punct(punct)) if punct.as_char() == '|')
}
