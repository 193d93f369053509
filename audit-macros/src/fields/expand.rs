//! Writes what the attribute puts in front of the struct: the derive and its arguments.
//!
//! The derive parses its arguments with the parser of the attribute, so they are written in that
//! form.

use proc_macro2::{Ident, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{LitStr, Path, parse_quote};

use super::args::{FieldName, FieldOptions, FieldsArgs, ListedField, Parent};

/// Input:  `#[audited_fields(age(was = "years"))]`
///
/// Output:
/// ```text
/// #[derive(::audited::__private::AuditedFields)]
/// #[__audited(r#age(was("years")); crate = ::audited, key = (r#id))]
/// ```
pub(crate) fn expand_derive_attribute(args: &FieldsArgs) -> TokenStream {
    let crate_path = crate_path(args);
    let FieldsArgs { fields, key, label, name, was, parent, .. } = args;
    let key = key.as_ref().map(|key| quote!(, key = (#(#key),*)));
    let label = label.as_ref().map(|label| quote!(, label = #label));
    let name = name.as_ref().map(|name| quote!(, name = #name));
    let was = was_option(was).map(|was| quote!(, #was));
    // Without a field the option would be wrong, and that has been reported already.
    let parent = parent.as_ref().filter(|parent| !parent.fields.is_empty());
    let parent = parent.map(|Parent { ty, fields }| quote!(, parent = #ty(#(#fields),*)));
    quote! {
        #[derive(#crate_path::__private::AuditedFields)]
        #[__audited(#(#fields),*; crate = #crate_path #key #label #name #was #parent)]
    }
}

/// The path to the `audited` crate.
pub(crate) fn crate_path(args: &FieldsArgs) -> Path {
    args.crate_path.clone().unwrap_or_else(|| parse_quote!(::audited))
}

/// Output: `was("…", "…")`
fn was_option(was: &[LitStr]) -> Option<TokenStream> {
    (!was.is_empty()).then(|| quote!(was(#(#was),*)))
}

impl ToTokens for FieldName {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend([match self.text.parse() {
            Ok(index) => {
                let mut number = Literal::usize_unsuffixed(index);
                number.set_span(self.span);
                TokenTree::from(number)
            }
            // Raw, so that a field called `all` is not taken for the keyword.
            Err(_) => Ident::new_raw(&self.text, self.span).into(),
        }]);
    }
}

impl ToTokens for ListedField {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { name, options } = self;
        name.to_tokens(tokens);
        if !options.is_empty() {
            quote!((#options)).to_tokens(tokens);
        }
    }
}

impl ToTokens for FieldOptions {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let flag =
            |span: Option<Span>, name| span.map(|span| Ident::new(name, span).into_token_stream());
        let options = [
            flag(self.redact, "redact"),
            flag(self.debug, "debug"),
            flag(self.set, "set"),
            self.with.as_ref().map(|with| quote!(with = #with)),
            self.rename.as_ref().map(|rename| quote!(rename = #rename)),
            was_option(&self.was),
        ];
        let options = options.iter().flatten();
        tokens.extend(quote!(#(#options),*));
    }
}
