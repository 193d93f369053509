//! `#[audited_fields(...)]`: which fields of a struct are audited.
//!
//! The attribute expands in two steps. The attribute itself (`args` → `model` → `validate` →
//! `expand`) sees every field, those that a `#[cfg]` removes included, and checks its arguments
//! against them. It leaves the struct as it is, and puts a derive in front. The derive (`derive`)
//! sees only the fields that remain, and writes the implementation.

use proc_macro2::TokenStream;
use quote::quote;

mod args;
mod compare;
mod derive;
mod expand;
mod model;
mod serde_form;
mod validate;

use crate::errors::item_with_errors;

/// Input:  `#[audited_fields(args)] struct S { … }`
///
/// Output: the derive and its arguments, and the struct as it was.
pub(crate) fn expand_attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    let checked = model::parse(item.clone())
        .and_then(|model| Ok(validate::check(syn::parse2(args)?, &model)));
    match checked {
        Ok((args, errors)) => {
            let errors = errors.into_compile_errors();
            let derive = args.map(|args| expand::expand_derive_attribute(&args));
            quote!(#errors #derive #item)
        }
        Err(error) => item_with_errors(item, &error),
    }
}

/// Expands the derive that the attribute has put in front of the struct.
pub(crate) fn expand_derive(item: TokenStream) -> TokenStream {
    derive::expand_derive(item).unwrap_or_else(|error| error.to_compile_error())
}

/// Expands `#[derive(CompareParts)]`.
pub(crate) fn expand_compare_parts(item: TokenStream) -> TokenStream {
    compare::expand(item).unwrap_or_else(|error| error.to_compile_error())
}
