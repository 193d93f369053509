//! Writes implementations of `CompareParts`: by `#[derive(CompareParts)]`, and by
//! `#[audited_fields]` for its struct.
//!
//! It holds no logic: each field is passed to `::audited::__private`, with its place in the
//! recorded form.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Fields, Generics, Ident, Index, Item, ItemEnum, ItemStruct, Member, Path, Token,
    parse_quote,
};

use super::serde_form::{FieldNames, SerdeForm};
use crate::tokens::{as_generated, inherited_allow, local};

/// Input:  `#[derive(CompareParts)] struct Slot { at: Time, … }`, or an enum
///
/// Output: `const _: () = { impl CompareParts for Slot };`
pub(crate) fn expand(item: TokenStream) -> syn::Result<TokenStream> {
    let item: Item = syn::parse2(item)?;
    let (attrs, crate_path) = match &item {
        Item::Struct(ItemStruct { attrs, .. }) | Item::Enum(ItemEnum { attrs, .. }) => {
            (attrs, crate_path(attrs)?)
        }
        other => {
            let message = "`CompareParts` can be derived for structs and enums only: compare the \
                           field that holds this type as a whole, by its `PartialEq`";
            return Err(syn::Error::new(other.span(), message));
        }
    };
    let implementation = match &item {
        Item::Struct(item) => of_struct(item, &crate_path, &|_| Some(Listed { is_set: false }))?,
        Item::Enum(item) => of_enum(item, &crate_path)?,
        _ => TokenStream::new(),
    };
    let allows = attrs.iter().filter_map(inherited_allow);
    Ok(quote!(#(#allows)* const _: () = { #implementation };))
}

/// A field that is compared by its own `==`.
pub(super) struct Listed {
    /// Whether it is declared as a set.
    pub(super) is_set: bool,
}

/// The implementation for a struct. Fields that are not `listed` are compared by their recorded
/// form.
pub(super) fn of_struct(
    item: &ItemStruct,
    crate_path: &Path,
    listed: &dyn Fn(&str) -> Option<Listed>,
) -> syn::Result<TokenStream> {
    let form = SerdeForm::read(&item.attrs);
    let private = quote!(#crate_path::__private);
    let place = Place { names: FieldNames::of_struct(&form), is_transparent: form.is_transparent };
    let mut parts = Vec::new();
    if !form.has_other_form {
        for field in recorded_fields(&item.fields, &place, &private)? {
            if let Some(Listed { is_set }) = listed(&member_name(&field.member)) {
                let field = RecordedField { is_set: is_set || field.is_set, ..field };
                let member = &field.member;
                let before = local("__audited_before");
                let values = quote_spanned!(field.span=> &self.#member, &#before.#member);
                parts.push(field.compare(&private, &values));
            }
        }
    }
    Ok(implementation(&item.ident, &item.generics, crate_path, &quote!(#(#parts)*)))
}

fn of_enum(item: &ItemEnum, crate_path: &Path) -> syn::Result<TokenStream> {
    let form = SerdeForm::read(&item.attrs);
    let private = quote!(#crate_path::__private);
    let mut arms = Vec::new();
    for variant in &item.variants {
        let own = SerdeForm::read(&variant.attrs);
        // Naming a deprecated variant would be reported in the user's code.
        let is_deprecated = variant.attrs.iter().any(|attr| attr.path().is_ident("deprecated"));
        if form.has_other_form || own.has_other_form || own.is_skipped || is_deprecated {
            continue;
        }
        let place = Place { names: FieldNames::of_variant(&own, &form), is_transparent: false };
        let fields = recorded_fields(&variant.fields, &place, &private)?;
        if fields.is_empty() {
            continue;
        }
        let (mut after, mut before, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        for (n, field) in fields.iter().enumerate() {
            let member = &field.member;
            let name = |side: &str| format_ident!("__audited_{side}{n}", span = Span::mixed_site());
            let (is, was) = (name("after"), name("before"));
            after.push(quote!(#member: #is));
            before.push(quote!(#member: #was));
            parts.push(field.compare(&private, &quote!(#is, #was)));
        }
        let ident = &variant.ident;
        let data = match (&form.content, form.has_tag || form.is_untagged || own.is_untagged) {
            (Some(content), _) => {
                quote_spanned!(Span::mixed_site()=> #private::RecordedParts::field(__audited_recorded, #content))
            }
            (None, true) => {
                quote_spanned!(Span::mixed_site()=> #private::RecordedParts::whole(__audited_recorded))
            }
            (None, false) => {
                quote_spanned!(Span::mixed_site()=> #private::RecordedParts::variant(__audited_recorded))
            }
        };
        arms.push(quote_spanned! {Span::mixed_site()=>
            (Self::#ident { #(#after,)* .. }, Self::#ident { #(#before,)* .. }) => {
                if let #private::Some(mut __audited_data) = #data {
                    let __audited_recorded = &mut __audited_data;
                    #(#parts)*
                }
            }
        });
    }
    // With a single variant, no other pair is possible.
    let others = (item.variants.len() > 1).then(|| quote!(_ => {}));
    let body = match arms.is_empty() {
        true => TokenStream::new(),
        false => {
            quote_spanned!(Span::mixed_site()=> match (self, __audited_before) { #(#arms)* #others })
        }
    };
    Ok(implementation(&item.ident, &item.generics, crate_path, &body))
}

fn implementation(
    ident: &Ident,
    generics: &Generics,
    crate_path: &Path,
    parts: &TokenStream,
) -> TokenStream {
    let ident = as_generated(ident);
    let private = quote!(#crate_path::__private);
    let mut bounded = generics.clone();
    for parameter in generics.type_params() {
        let parameter = &parameter.ident;
        let bound = parse_quote!(#parameter: #private::PartialEq);
        bounded.make_where_clause().predicates.push(bound);
    }
    let (impl_generics, _, where_clause) = bounded.split_for_impl();
    let (_, ty_generics, _) = generics.split_for_impl();
    let (before, recorded) = (local("__audited_before"), local("__audited_recorded"));
    quote_spanned! {Span::mixed_site()=>
        #[automatically_derived]
        impl #impl_generics #crate_path::fields::CompareParts for #ident #ty_generics #where_clause {
            fn is_same(&self, #before: &Self) -> #private::bool {
                #private::part(self, #before).__audited_is_equal()
            }

            fn compare_parts(
                &self,
                #before: &Self,
                #recorded: &mut #private::RecordedParts<'_>,
            ) {
                #parts
            }
        }
    }
}

/// How the fields of a struct or a variant are recorded.
struct Place {
    names: FieldNames,
    is_transparent: bool,
}

/// A field that is part of the recorded form.
struct RecordedField {
    member: Member,
    span: Span,
    /// `RecordedParts::field(recorded, "at")`
    place: TokenStream,
    form: SerdeForm,
    is_set: bool,
}

impl RecordedField {
    /// Output: `private::part(&self.at, &before.at).__audited_compare(place);`
    fn compare(&self, private: &TokenStream, values: &TokenStream) -> TokenStream {
        let Self { place, span, .. } = self;
        let part = quote_spanned!(*span=> #private::part(#values));
        if self.form.is_flattened {
            return quote_spanned!(*span=> #part.__audited_compare_flattened(__audited_recorded););
        }
        if self.is_set {
            return quote_spanned!(*span=> #private::compare_set(#part.__audited_is_equal(), #place););
        }
        match self.form.has_other_form {
            true => quote_spanned!(*span=> #part.__audited_compare_whole(#place);),
            false => quote_spanned!(*span=> #part.__audited_compare(#place);),
        }
    }
}

fn recorded_fields(
    fields: &Fields,
    place: &Place,
    private: &TokenStream,
) -> syn::Result<Vec<RecordedField>> {
    let mut found = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let form = SerdeForm::read(&field.attrs);
        let is_set = declared_as_set(&field.attrs)?;
        // Using a deprecated field would be reported in the user's code.
        let is_deprecated = field.attrs.iter().any(|attr| attr.path().is_ident("deprecated"));
        let span = Span::mixed_site().located_at(field.ty.span());
        let member = match &field.ident {
            Some(ident) => Member::Named(ident.clone()),
            None => Member::Unnamed(Index { index: index.try_into().unwrap_or(0), span }),
        };
        if !form.is_skipped {
            found.push((
                RecordedField { member, span, place: quote!(), form, is_set },
                is_deprecated,
            ));
        }
    }
    let is_named = matches!(fields, Fields::Named(_));
    let len = found.len();
    // The places of the later fields depend on those that are left out.
    if !is_named && found.iter().any(|(field, _)| field.form.may_be_skipped) {
        return Ok(Vec::new());
    }
    let is_wrapper = place.is_transparent || (!is_named && fields.len() == 1);
    let mut recorded = Vec::new();
    for (index, (field, is_deprecated)) in found.into_iter().enumerate() {
        let key = match &field.member {
            _ if is_wrapper => Some(
                quote_spanned!(Span::mixed_site()=> #private::RecordedParts::whole(__audited_recorded)),
            ),
            Member::Named(ident) => {
                let key = field.form.key(ident, &place.names);
                key.map(|key| quote_spanned!(Span::mixed_site()=> #private::RecordedParts::field(__audited_recorded, #key)))
            }
            Member::Unnamed(_) => Some(
                quote_spanned!(Span::mixed_site()=> #private::RecordedParts::element(__audited_recorded, #index, #len)),
            ),
        };
        if let (Some(place), false) = (key, is_deprecated) {
            recorded.push(RecordedField { place, ..field });
        }
    }
    Ok(recorded)
}

fn member_name(member: &Member) -> String {
    match member {
        Member::Named(ident) => ident.unraw().to_string(),
        Member::Unnamed(index) => index.index.to_string(),
    }
}

/// Input:  `#[compare(set)]`
fn declared_as_set(attrs: &[Attribute]) -> syn::Result<bool> {
    let mut is_set = false;
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("compare")) {
        attr.parse_nested_meta(|meta| match meta.path.is_ident("set") {
            true => {
                is_set = true;
                Ok(())
            }
            false => Err(meta.error("unknown option: the only option of a field is `set`")),
        })?;
    }
    Ok(is_set)
}

/// Input:  `#[compare(crate = path)]` on the type
fn crate_path(attrs: &[Attribute]) -> syn::Result<Path> {
    let mut path: Path = parse_quote!(::audited);
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("compare")) {
        attr.parse_nested_meta(|meta| match meta.path.is_ident("crate") {
            true => {
                meta.input.parse::<Token![=]>()?;
                path = meta.input.call(Path::parse_mod_style)?;
                Ok(())
            }
            false => Err(meta.error("unknown option: the only option of a type is `crate`")),
        })?;
    }
    Ok(path)
}
