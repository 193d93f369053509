//! `#[audit_method(...)]`: records every call of a function.

use proc_macro2::TokenStream;

use crate::errors::item_with_errors;

mod args;
mod exits;
mod expand;
mod fragments;
mod model;
mod refusal;
mod return_kind;
mod type_spelling;
mod validate;

/// Input:  `#[audit_method(args)] item`
///
/// Output: the function as an audited function, or the item with the compile errors in front.
pub(crate) fn expand_attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    let expand = || {
        let function = model::parse(item.clone())?;
        let args = validate::check(syn::parse2(args)?, &function)?;
        Ok(expand::expand_function(&args, &function))
    };
    expand().unwrap_or_else(|error| item_with_errors(item.clone(), &error))
}
