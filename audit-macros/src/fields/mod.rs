//! `#[audited_fields(...)]`: which fields of a struct are on the record.
//!
//! Two steps. The attribute (`args` → `model` → `validate` → `expand`) sees every field, also those that a
//! `#[cfg]` takes away, and checks the words against them. It leaves the struct as it is, and puts a derive
//! in front. The derive (`derive`) sees only the fields that are there, and writes the implementation.

use proc_macro2::{Span, TokenStream};

mod args;
mod derive;
mod expand;
mod model;
mod validate;
mod words;

use crate::fallback;

/// Expands the attribute.
pub(crate) fn attribute(args: TokenStream, item: TokenStream) -> TokenStream {
    let checked = model::parse(item.clone())
        .and_then(|model| Ok(validate::attribute(syn::parse2(args)?, &model)));
    match checked {
        Ok((said, mistakes)) => {
            let mistakes = mistakes.into_error().map(|error| error.to_compile_error());
            let derive = said.map(|said| expand::derive(&said));
            quote::quote!(#mistakes #derive #item)
        }
        Err(error) => fallback::item_with_error(item, &error),
    }
}

/// Expands the derive that the attribute has put in front.
pub(crate) fn derive(item: TokenStream) -> TokenStream {
    derive::implementation(item).unwrap_or_else(|error| error.to_compile_error())
}

/// Gathers what is wrong, so that all of it is told at once.
#[derive(Default)]
struct Mistakes(Option<syn::Error>);

impl Mistakes {
    fn push(&mut self, span: Span, message: impl std::fmt::Display) {
        self.add(syn::Error::new(span, message));
    }

    fn add(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            none => *none = Some(error),
        }
    }

    fn into_error(self) -> Option<syn::Error> {
        self.0
    }
}
