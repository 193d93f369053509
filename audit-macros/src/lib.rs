//! The attributes of the `audited` crate. Use them from there; this crate is its implementation detail.
//!
//! The way of `#[audit_method]`: `args` reads the words of the attribute, `model` reads the function,
//! `validate` holds every rejection, `expand` writes the tokens, and `fallback` is what is
//! emitted when something was rejected. The expansion holds no logic: it names a static call site
//! and calls into `::audited::__private`. `#[audited_fields]` goes the same way, in `fields/`.

use proc_macro::TokenStream;

mod args;
mod expand;
mod fallback;
mod fields;
mod model;
mod refusal;
mod register;
mod returns;
mod validate;
mod words;

// Documented where it is used, at `audited::audit_method`: text here would be glued to that.
#[allow(missing_docs)]
#[proc_macro_attribute]
pub fn audit_method(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    match audit_method_tokens(args.into(), item.clone()) {
        Ok(tokens) => tokens.into(),
        Err(error) => fallback::item_with_error(item, &error).into(),
    }
}

// Documented where it is used, at `audited::audited_fields`.
#[allow(missing_docs)]
#[proc_macro_attribute]
pub fn audited_fields(args: TokenStream, item: TokenStream) -> TokenStream {
    fields::attribute(args.into(), item.into()).into()
}

/// What `#[audited_fields(…)]` expands to; not for use by hand.
#[doc(hidden)]
#[proc_macro_derive(AuditedFields, attributes(__audited))]
pub fn derive_audited_fields(item: TokenStream) -> TokenStream {
    fields::derive(item.into()).into()
}

fn audit_method_tokens(
    args: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> syn::Result<proc_macro2::TokenStream> {
    let function = model::parse(item)?;
    let args = syn::parse2::<args::Args>(args)?;
    let plan = validate::plan(&args, &function)?;
    Ok(expand::function(&plan, &function))
}
