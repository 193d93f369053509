//! Writes the implementation of `AuditedFields`, from the fields that remain after every `#[cfg]`.
//!
//! It holds no logic: each field is passed to `::audited::__private`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Generics, Ident, LitStr, Member, Path, Type, parse_quote};

use super::args::{FieldName, FieldsArgs, ListedField, Parent};
use super::compare;
use super::expand::crate_path;
use super::model::{self, Struct, StructField};
use super::validate;
use crate::errors::Errors;
use crate::register::register;
use crate::tokens::{any_token, as_generated, inherited_allow, replace_self, to_source_text};

/// Input:  `#[__audited(age; key = (id))] struct Pilot { id: u64, age: u8 }`
///
/// Output:
/// `const _: () = { the snapshot; static data about the type; impl AuditedFields for Pilot };`
pub(crate) fn expand_derive(item: TokenStream) -> syn::Result<TokenStream> {
    let model = model::parse(item)?;
    let args = derive_args(&model)?;
    let mut errors = Errors::default();
    let implementation = Implementation::new(&args, &model, &mut errors).expand();
    let errors = errors.into_compile_errors();
    Ok(quote!(#errors #implementation))
}

/// The arguments that the attribute has written for the derive.
fn derive_args(model: &Struct) -> syn::Result<FieldsArgs> {
    let ours = model.item.attrs.iter().find(|attr| attr.path().is_ident("__audited"));
    let Some(ours) = ours else {
        let message = "this derive is an implementation detail: use `#[audited_fields(…)]` instead";
        return Err(syn::Error::new(Span::call_site(), message));
    };
    ours.parse_args()
}

/// What the implementation is written from.
struct Implementation<'a> {
    args: &'a FieldsArgs,
    model: &'a Struct,
    crate_path: Path,
    /// `::audited::__private`
    private: TokenStream,
    fields: Vec<AuditedField<'a>>,
    key: Vec<Member>,
    parent: Option<(&'a Parent, Vec<Member>)>,
    label: Option<Member>,
}

/// One audited field.
struct AuditedField<'a> {
    listed: &'a ListedField,
    ty: &'a Type,
    /// `private::field(&self.age)`, with the span of the type, so that the compiler reports there
    /// if the field can't be recorded.
    probe: TokenStream,
    /// `__audited_0`, its name in the snapshot.
    in_snapshot: Ident,
    /// The span of the type, with the hygiene of the macro.
    span: Span,
}

impl<'a> AuditedField<'a> {
    fn new(
        index: usize,
        listed: &'a ListedField,
        field: &StructField<'a>,
        private: &TokenStream,
    ) -> Self {
        let span = Span::mixed_site().located_at(field.ty.span());
        let member = &field.member;
        let options = &listed.options;
        let probe = match (&options.with, options.redact, options.debug) {
            (Some(with), Some(_), _) => {
                quote_spanned!(span=> #private::redacted_with_field(&self.#member, #with))
            }
            (Some(with), None, _) => {
                quote_spanned!(span=> #private::with_field(&self.#member, #with))
            }
            (None, Some(_), _) => quote_spanned!(span=> #private::redacted_field(&self.#member)),
            (None, None, Some(_)) => quote_spanned!(span=> #private::debug_field(&self.#member)),
            (None, None, None) => quote_spanned!(span=> #private::field(&self.#member)),
        };
        let in_snapshot = format_ident!("__audited_{index}", span = Span::mixed_site());
        Self { listed, ty: field.ty, probe, in_snapshot, span }
    }
}

impl<'a> Implementation<'a> {
    fn new(args: &'a FieldsArgs, model: &'a Struct, errors: &mut Errors) -> Self {
        let crate_path = crate_path(args);
        let private = quote!(#crate_path::__private);
        let fields = model.fields();
        let mut members =
            |names: &[FieldName], role: &str| members(names, role, &fields, model, errors);
        let key = members(args.key.as_deref().unwrap_or_default(), "the key");
        let parent = args.parent.as_ref();
        let parent = parent.map(|parent| (parent, members(&parent.fields, "the parent's key")));
        let label = members(args.label.as_slice(), "the label").pop();
        let listed = fields.into_iter().filter_map(|field| {
            let listed = args.fields.iter().find(|listed| listed.name.text == field.name)?;
            Some((listed, field))
        });
        let listed: Vec<_> = listed.collect();
        validate::check_recorded_names(&listed, errors);
        let fields = listed
            .iter()
            .enumerate()
            .map(|(index, (listed, field))| AuditedField::new(index, listed, field, &private))
            .collect();
        Self { args, model, crate_path, private, fields, key, parent, label }
    }

    fn expand(&self) -> TokenStream {
        let (snapshot, info, methods) = (self.snapshot(), self.type_info(), self.methods());
        let Self { crate_path, model, .. } = self;
        let listed = |name: &str| {
            let field = self.fields.iter().find(|field| field.listed.name.text == name)?;
            Some(compare::Listed { is_set: field.listed.options.set.is_some() })
        };
        let compare_parts = compare::of_struct(&model.item, crate_path, &listed);
        let compare_parts = compare_parts.unwrap_or_else(|error| error.to_compile_error());
        let ident = as_generated(&model.item.ident);
        let allows = model.item.attrs.iter().filter_map(inherited_allow);
        let (_, ty_generics, _) = model.item.generics.split_for_impl();
        let generics = self.bounded_generics();
        let (impl_generics, _, where_clause) = generics.split_for_impl();
        quote! {
            #(#allows)*
            const _: () = {
                #snapshot
                #info

                #[automatically_derived]
                impl #impl_generics #crate_path::fields::AuditedFields for #ident #ty_generics
                #where_clause
                {
                    const TYPE: &'static #crate_path::fields::TypeInfo = &__AUDITED_TYPE;
                    type Snapshot = __AuditedSnapshot #ty_generics;
                    #methods
                }

                #compare_parts
            };
        }
    }

    /// Output:
    /// ```text
    /// pub struct __AuditedSnapshot<'a, T: Bound> {
    ///     __audited_0: FieldSnapshot<Field>,
    ///     …
    ///     __audited_type: PhantomData<Type<'a, T>>,
    /// }
    /// ```
    fn snapshot(&self) -> TokenStream {
        let Self { private, model, .. } = self;
        let ident = as_generated(&model.item.ident);
        let (impl_generics, ty_generics, where_clause) = model.item.generics.split_for_impl();
        let own_type = quote!(#ident #ty_generics);
        let fields = self.fields.iter().map(|AuditedField { in_snapshot, ty, .. }| {
            let ty = replace_self(ty.to_token_stream(), &own_type);
            quote!(#in_snapshot: #private::FieldSnapshot<#ty>,)
        });
        let impl_generics = replace_self(impl_generics.into_token_stream(), &own_type);
        let where_clause = replace_self(where_clause.into_token_stream(), &own_type);
        quote! {
            #[doc(hidden)]
            pub struct __AuditedSnapshot #impl_generics #where_clause {
                #(#fields)*
                __audited_type: #private::PhantomData<#own_type>,
            }
        }
    }

    /// Output:
    /// ```text
    /// const FIELDS: &[FieldInfo] = &[FieldInfo::new("age"), …];
    /// static TYPE: TypeInfo = TypeInfo::with_fields(
    ///     TypeInfo::keyed(TypeInfo::new(module_path!(), "Pilot"), &["id"]),
    ///     FIELDS,
    /// );
    /// register it in the catalogue;
    /// ```
    fn type_info(&self) -> TokenStream {
        let Self { crate_path, private, args, model, .. } = self;
        let rust_name = model.item.ident.unraw().to_string();
        let key: Vec<&String> = args.key.iter().flatten().map(|name| &name.text).collect();
        let parent = self.parent.as_ref().map(|(parent, _)| {
            let key = parent.fields.iter().map(|name| &name.text);
            let parent = to_source_text(&parent.ty.to_token_stream());
            ("child_of", quote!(#parent, &[#(#key),*]))
        });
        let info = quote!(#crate_path::fields::TypeInfo);
        let parts = [
            args.name.as_ref().map(|name| ("named", quote!(#name))),
            former_names(&args.was),
            Some(("keyed", quote!(&[#(#key),*]))),
            parent,
            args.label.as_ref().map(|FieldName { text, .. }| ("labelled", quote!(#text))),
            Some(("with_fields", quote!(__AUDITED_FIELDS))),
        ];
        let new = quote!(#info::new(#private::module_path!(), #rust_name));
        let value = built(&info, new, parts.into_iter().flatten());
        let fields = self.fields.iter().map(|field| self.field_info(field.listed));
        let check = self.parent.as_ref().map(|(parent, _)| self.check_parent_key(parent));
        let register =
            register(private, &quote!(#private::CatalogueEntry::of_type(&__AUDITED_TYPE)));
        quote! {
            const __AUDITED_FIELDS: &[#crate_path::fields::FieldInfo] = &[#(#fields),*];
            static __AUDITED_TYPE: #info = #value;
            #register
            #check
        }
    }

    /// Output: `FieldInfo::redacted(FieldInfo::formerly(FieldInfo::new("age"), &["years"]))`
    fn field_info(&self, field: &ListedField) -> TokenStream {
        let Self { crate_path, .. } = self;
        let (name, _) = validate::recorded_name(field);
        let (own_name, options) = (&field.name.text, &field.options);
        let info = quote!(#crate_path::fields::FieldInfo);
        let parts = [
            options.rename.as_ref().map(|_| ("called", quote!(#own_name))),
            former_names(&options.was),
            options.redact.map(|_| ("redacted", TokenStream::new())),
            options.set.map(|_| ("set", TokenStream::new())),
        ];
        built(&info, quote!(#info::new(#name)), parts.into_iter().flatten())
    }

    /// Output:
    /// `const _: () = assert!(TypeInfo::key_parts(<Order as AuditedFields>::TYPE) == 1, "…");`
    ///
    /// Not for generic types, because a constant outside the implementation can't name their
    /// parameters.
    fn check_parent_key(&self, parent: &Parent) -> Option<TokenStream> {
        let Self { crate_path, private, model, .. } = self;
        if !model.item.generics.params.is_empty() {
            return None;
        }
        let (ty, count) = (&parent.ty, parent.fields.len());
        let fields = if count == 1 { "1 field is" } else { &format!("{count} fields are") };
        let message = format!(
            "{fields} named here, but the parent's key has another number of parts: name one field \
             for each part, those of the parent's own parents first"
        );
        Some(quote_spanned! { parent.ty.span() =>
            const _: () = #private::assert!(
                #crate_path::fields::TypeInfo::key_parts(
                    <#ty as #crate_path::fields::AuditedFields>::TYPE
                ) == #count,
                #message
            );
        })
    }

    fn methods(&self) -> TokenStream {
        let identity = self.identity_methods();
        let fields = self.field_methods();
        quote!(#identity #fields)
    }

    /// Output: the methods `type_paths` (if there is a parent), `target_id`, and `label` (if there
    /// is one).
    fn identity_methods(&self) -> TokenStream {
        let Self { private, .. } = self;
        let type_paths = self.parent.as_ref().map(|(Parent { ty, .. }, _)| {
            quote! {
                fn type_paths() -> #private::Vec<#private::String> {
                    #private::child_path::<#ty>(&__AUDITED_TYPE)
                }
            }
        });
        let parent = self.parent.iter().flat_map(|(_, members)| members);
        let parts = parent.chain(&self.key).map(|member| self.text_of(member));
        let label = self.label.as_ref().map(|member| {
            let text = self.text_of(member);
            quote_spanned! {Span::mixed_site()=>
                fn label(&self) -> #private::Option<#private::String> {
                    #private::Option::Some(#text)
                }
            }
        });
        quote_spanned! {Span::mixed_site()=>
            #type_paths

            fn target_id(&self) -> #private::String {
                #private::target_id(&[#(#parts),*])
            }

            #label
        }
    }

    /// Output: `private::key_part(&self.id).__audited_text()`
    fn text_of(&self, member: &Member) -> TokenStream {
        let private = &self.private;
        let span = Span::mixed_site().located_at(member.span());
        quote_spanned!(span=> #private::key_part(&self.#member).__audited_text())
    }

    /// Output: the methods `snapshot`, `compare`, `describe` and `refresh`, which pass each field
    /// to its probe.
    fn field_methods(&self) -> TokenStream {
        let private = &self.private;
        let (mut keep, mut compare) = (TokenStream::new(), TokenStream::new());
        let (mut describe, mut refresh) = (TokenStream::new(), TokenStream::new());
        for (index, field) in self.fields.iter().enumerate() {
            let AuditedField { probe, in_snapshot, span, .. } = field;
            let before = quote_spanned!(*span=> __audited_before.#in_snapshot);
            let maybe_before = quote_spanned! {*span=>
                #private::Option::map(__audited_before, |__audited_before| &#before)
            };
            keep.extend(quote_spanned!(*span=> #in_snapshot: #probe.__audited_snapshot(),));
            compare.extend(quote_spanned! {*span=>
                #probe.__audited_compare(&#before, __audited_visitor, #index);
            });
            describe.extend(quote_spanned! {*span=>
                #probe.__audited_describe(#maybe_before, __audited_visitor, #index);
            });
            refresh.extend(quote_spanned!(*span=> #probe.__audited_refresh(&mut #before);));
        }
        quote_spanned! {Span::mixed_site()=>
            fn snapshot(&self) -> Self::Snapshot {
                __AuditedSnapshot { #keep __audited_type: #private::PhantomData }
            }

            fn compare(
                &self,
                __audited_before: &Self::Snapshot,
                __audited_visitor: &mut #private::FieldVisitor<'_>,
            ) {
                #compare
            }

            fn describe(
                &self,
                __audited_before: #private::Option<&Self::Snapshot>,
                __audited_visitor: &mut #private::FieldVisitor<'_>,
            ) {
                #describe
            }

            fn refresh(&self, __audited_before: &mut Self::Snapshot) {
                #refresh
            }
        }
    }

    /// The generics of the struct, with the bounds that recording needs for fields whose type
    /// contains a type parameter.
    fn bounded_generics(&self) -> Generics {
        let private = &self.private;
        let mut generics = self.model.item.generics.clone();
        let mut parameters: Vec<Ident> =
            generics.type_params().map(|parameter| parameter.ident.clone()).collect();
        if !parameters.is_empty() {
            parameters.push(Ident::new("Self", Span::call_site()));
        }
        for AuditedField { listed, ty, span, .. } in &self.fields {
            let options = &listed.options;
            if options.redact.is_some()
                || options.with.is_some()
                || !mentions(ty.to_token_stream(), &parameters)
            {
                continue;
            }
            let bound = if options.debug.is_some() { quote!(Debug) } else { quote!(Serialize) };
            let bound = quote_spanned!(*span=> #private::#bound);
            generics.make_where_clause().predicates.push(parse_quote!(#ty: #bound));
        }
        generics
    }
}

/// The members of the struct that are called `names`. A name that a `#[cfg]` has removed is an
/// error; in a tuple struct, the attribute has reported it already.
fn members(
    names: &[FieldName],
    role: &str,
    fields: &[StructField<'_>],
    model: &Struct,
    errors: &mut Errors,
) -> Vec<Member> {
    let member = |name: &FieldName| {
        let field = fields.iter().find(|field| field.name == name.text);
        if field.is_none() && !model.is_tuple() {
            let message = format!(
                "`{}` is used for {role}, but its `#[cfg]` removes it: use a field that is always \
                 present",
                name.text
            );
            errors.push(name.span, message);
        }
        field.map(|field| field.member.clone())
    };
    names.iter().filter_map(member).collect()
}

/// The method `formerly` and its argument: `&["Aviator"]`.
fn former_names(was: &[LitStr]) -> Option<(&'static str, TokenStream)> {
    (!was.is_empty()).then(|| ("formerly", quote!(&[#(#was),*])))
}

/// Output: `Info::method(Info::method(value, argument), argument)`, for each method and its argument.
///
/// Called by path, because a trait of the user may have a method of the same name.
fn built(
    info: &TokenStream,
    value: TokenStream,
    parts: impl Iterator<Item = (&'static str, TokenStream)>,
) -> TokenStream {
    parts.fold(value, |value, (method, argument)| {
        let method = Ident::new(method, Span::mixed_site());
        quote!(#info::#method(#value, #argument))
    })
}

/// Whether one of `names` is among the tokens.
fn mentions(tokens: TokenStream, names: &[Ident]) -> bool {
    any_token(tokens, &|token| matches!(token, TokenTree::Ident(ident) if names.contains(ident)))
}
