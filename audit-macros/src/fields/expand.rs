//! Writes what the attribute puts in front of the struct: the derive, and the words for it.

use proc_macro2::{Ident, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{LitStr, Path, parse_quote};

use super::args::{Args, Field, Name, Options, Parent};

/// Output: `#[derive(::audited::__private::AuditedFields)] #[__audited(age(was = "years"); key = (id))]`
///
/// The words are those that the attribute takes, so that the derive reads them with the same parser.
pub(super) fn derive(args: &Args) -> TokenStream {
    let krate = crate_path(args);
    let Args { fields, key, label, name, was, parent, .. } = args;
    let key = key.as_ref().map(|key| quote!(, key = (#(#key),*)));
    let label = label.as_ref().map(|label| quote!(, label = #label));
    let name = name.as_ref().map(|name| quote!(, name = #name));
    let was = formerly(was);
    let parent = parent.as_ref().map(|Parent { ty, fields }| {
        // Without a field the words would be wrong, and that has been told already.
        (!fields.is_empty()).then(|| quote!(, parent = #ty(#(#fields),*)))
    });
    quote! {
        #[derive(#krate::__private::AuditedFields)]
        #[__audited(#(#fields),*; crate = #krate #key #label #name #was #parent)]
    }
}

/// Where `audited` is.
pub(super) fn crate_path(args: &Args) -> Path {
    args.crate_path.clone().unwrap_or_else(|| parse_quote!(::audited))
}

fn formerly(was: &[LitStr]) -> Option<TokenStream> {
    (!was.is_empty()).then(|| quote!(, was(#(#was),*)))
}

impl ToTokens for Name {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend([match self.text.parse() {
            Ok(index) => {
                let mut number = Literal::usize_unsuffixed(index);
                number.set_span(self.span);
                TokenTree::from(number)
            }
            // Raw, so that a field called `all` is not taken for the word.
            Err(_) => Ident::new_raw(&self.text, self.span).into(),
        }]);
    }
}

impl ToTokens for Field {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { name, options } = self;
        name.to_tokens(tokens);
        if !options.says_nothing() {
            quote!((#options)).to_tokens(tokens);
        }
    }
}

impl ToTokens for Options {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let flag =
            |span: Option<Span>, word| span.map(|span| Ident::new(word, span).into_token_stream());
        let parts = [
            flag(self.redact, "redact"),
            flag(self.debug, "debug"),
            flag(self.set, "set"),
            self.with.as_ref().map(|with| quote!(with = #with)),
            self.rename.as_ref().map(|rename| quote!(rename = #rename)),
            (!self.was.is_empty()).then(|| {
                let was = &self.was;
                quote!(was(#(#was),*))
            }),
        ];
        let parts = parts.iter().flatten();
        tokens.extend(quote!(#(#parts),*));
    }
}
