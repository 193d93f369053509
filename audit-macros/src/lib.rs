//! The attributes of the `audited` crate. This crate is an implementation detail: use the
//! attributes through `audited`.
//!
//! `#[audit_method]` is in `method/`, `#[audited_fields]` in `fields/`; the files beside this one
//! serve both. Each attribute passes through the same steps: `args` parses the arguments, `model`
//! reads the annotated item, `validate` checks one against the other, and `expand` writes the
//! tokens. Rejected input becomes compile errors in front of the unchanged item (`errors`).
//!
//! The expansion holds no logic. It contains static data and calls into `::audited::__private`.

use proc_macro::TokenStream;

mod argument_names;
mod argument_parsing;
mod errors;
mod fields;
mod method;
mod register;
#[cfg(test)]
mod reserved_names;
mod tokens;

// Documented in the `audited` crate, where rustdoc would append a text from here.
#[allow(missing_docs)]
#[proc_macro_attribute]
pub fn audit_method(args: TokenStream, item: TokenStream) -> TokenStream {
    method::expand_attribute(args.into(), item.into()).into()
}

// Documented in the `audited` crate, as above.
#[allow(missing_docs)]
#[proc_macro_attribute]
pub fn audited_fields(args: TokenStream, item: TokenStream) -> TokenStream {
    fields::expand_attribute(args.into(), item.into()).into()
}

/// The derive that `#[audited_fields(…)]` adds to the struct. Not for direct use.
#[doc(hidden)]
#[proc_macro_derive(AuditedFields, attributes(__audited))]
pub fn derive_audited_fields(item: TokenStream) -> TokenStream {
    fields::expand_derive(item.into()).into()
}

// Documented at the trait in `audit-core`.
#[allow(missing_docs)]
#[proc_macro_derive(CompareParts, attributes(compare))]
pub fn derive_compare_parts(item: TokenStream) -> TokenStream {
    fields::expand_compare_parts(item.into()).into()
}
