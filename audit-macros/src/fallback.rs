//! What is emitted when the attribute can't be expanded: the item as it was, and the errors.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

/// The item stays, so that the editor still knows it and no second error hides the first.
pub(crate) fn item_with_error(item: TokenStream, error: &syn::Error) -> TokenStream {
    let errors = error.to_compile_error();
    if is_closure(&item) {
        // Where an expression is expected, there can be but one.
        quote!({ #errors #item })
    } else {
        quote!(#errors #item)
    }
}

fn is_closure(item: &TokenStream) -> bool {
    let mut tokens = item.clone().into_iter().skip_while(|token| {
        matches!(token, TokenTree::Ident(word)
            if ["async", "move", "static"].iter().any(|before| word == before))
    });
    matches!(tokens.next(), Some(TokenTree::Punct(punct)) if punct.as_char() == '|')
}
