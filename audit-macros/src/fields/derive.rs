//! Writes the implementation, from the fields that are there after every `#[cfg]`. It holds no logic: each
//! field is handed to `::audited::__private`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Generics, Ident, LitStr, Member, Path, Type, parse_quote};

use super::args::{Args, Field, Name, Parent};
use super::expand::crate_path;
use super::model::{self, Struct, StructField};
use super::{Mistakes, validate};

/// Expands the derive on `item`.
pub(super) fn implementation(item: TokenStream) -> syn::Result<TokenStream> {
    let model = model::parse(item)?;
    let args = words(&model)?;
    let mut mistakes = Mistakes::default();
    let plan = Plan::new(&args, &model, &mut mistakes);
    let implementation = plan.implementation();
    let mistakes = mistakes.into_error().map(|error| error.to_compile_error());
    Ok(quote!(#mistakes #implementation))
}

/// What the attribute has left for the derive.
fn words(model: &Struct) -> syn::Result<Args> {
    let ours = model.item.attrs.iter().find(|attr| attr.path().is_ident("__audited"));
    let Some(ours) = ours else {
        let message = "this derive belongs to `#[audited_fields(…)]`: write that";
        return Err(syn::Error::new(Span::call_site(), message));
    };
    ours.parse_args()
}

/// One audited field that is there.
struct Audited<'a> {
    said: &'a Field,
    ty: &'a Type,
    /// `private::field(&self.age)`, at the type, so that the compiler points there if it can't be recorded.
    probe: TokenStream,
    /// `f0`, its value in the snapshot.
    kept: Ident,
    /// That of its type, with the hygiene of the macro.
    span: Span,
}

/// What is written.
struct Plan<'a> {
    args: &'a Args,
    model: &'a Struct,
    krate: Path,
    /// `::audited::__private`
    private: TokenStream,
    fields: Vec<Audited<'a>>,
    key: Vec<Member>,
    parent: Option<(&'a Parent, Vec<Member>)>,
    label: Option<Member>,
}

impl<'a> Plan<'a> {
    fn new(args: &'a Args, model: &'a Struct, mistakes: &mut Mistakes) -> Self {
        let krate = crate_path(args);
        let private = quote!(#krate::__private);
        let fields = model.fields();
        let mut members = |names: &[Name], what: &str| -> Vec<Member> {
            let member = |name: &Name| {
                let field = fields.iter().find(|field| field.name == name.text);
                // A number that a `#[cfg]` moves has been told by the attribute.
                if field.is_none() && !model.is_tuple() {
                    let message = format!(
                        "{what} is `{}`, which its `#[cfg]` takes away: name a field that is always there",
                        name.text
                    );
                    mistakes.push(name.span, message);
                }
                field.map(|field| field.member.clone())
            };
            names.iter().filter_map(member).collect()
        };
        let key = members(args.key.as_deref().unwrap_or_default(), "the key");
        let parent = args
            .parent
            .as_ref()
            .map(|parent| (parent, members(&parent.fields, "the key of the parent")));
        let label = args.label.as_slice();
        let label = members(label, "the label").pop();
        let there: Vec<_> = fields
            .into_iter()
            .filter_map(|field| {
                Some((args.fields.iter().find(|said| said.name.text == field.name)?, field))
            })
            .collect();
        validate::recorded_names(&there, mistakes);
        let audited = there
            .into_iter()
            .enumerate()
            .map(|(n, (said, field))| audited(n, said, &field, &private));
        let fields = audited.collect();
        Self { args, model, krate, private, fields, key, parent, label }
    }

    /// Output: `const _: () = { the snapshot; what is known of the type; the implementation };`
    fn implementation(&self) -> TokenStream {
        let (snapshot, info, methods) = (self.snapshot(), self.info(), self.methods());
        let Self { krate, model, .. } = self;
        let ident = by_derive(&model.item.ident);
        let allowed = model.item.attrs.iter().filter_map(allowed);
        let (_, ty_generics, _) = model.item.generics.split_for_impl();
        let generics = self.bounded_generics();
        let (impl_generics, _, where_clause) = generics.split_for_impl();
        quote! {
            #(#allowed)*
            const _: () = {
                #snapshot
                #info

                #[automatically_derived]
                impl #impl_generics #krate::AuditedFields for #ident #ty_generics #where_clause {
                    const TYPE: &'static #krate::TypeInfo = &__AUDITED_TYPE;
                    type Snapshot = __AuditedSnapshot #ty_generics;
                    #methods
                }
            };
        }
    }

    /// Output: `pub struct __AuditedSnapshot<'a, T: Bound> { f0: Kept<Field>, …, marker: PhantomData<Type<'a, T>> }`
    fn snapshot(&self) -> TokenStream {
        let Self { private, model, .. } = self;
        let ident = by_derive(&model.item.ident);
        let (impl_generics, ty_generics, where_clause) = model.item.generics.split_for_impl();
        let itself = quote!(#ident #ty_generics);
        let kept = self.fields.iter().map(|Audited { kept, ty, .. }| {
            let ty = without_self(ty.to_token_stream(), &itself);
            quote!(#kept: #private::Kept<#ty>,)
        });
        let impl_generics = without_self(impl_generics.into_token_stream(), &itself);
        let where_clause = without_self(where_clause.into_token_stream(), &itself);
        quote! {
            #[doc(hidden)]
            pub struct __AuditedSnapshot #impl_generics #where_clause {
                #(#kept)*
                marker: #private::PhantomData<#itself>,
            }
        }
    }

    /// Output: `static __AUDITED_TYPE: TypeInfo = TypeInfo::new(module_path!(), "Pilot")…;`, and that it is
    /// registered for the catalogue.
    fn info(&self) -> TokenStream {
        let Self { krate, private, args, model, .. } = self;
        let rust_name = model.item.ident.unraw().to_string();
        let named = args.name.as_ref().map(|name| quote!(.named(#name)));
        let formerly = formerly(&args.was);
        let key: Vec<&String> = args.key.iter().flatten().map(|name| &name.text).collect();
        let parent = self.parent.as_ref().map(|(parent, _)| {
            let key = parent.fields.iter().map(|name| &name.text);
            let parent = spelled(parent.ty.to_token_stream());
            quote!(.child_of(#parent, &[#(#key),*]))
        });
        let label = args.label.as_ref().map(|Name { text, .. }| quote!(.labelled(#text)));
        let fields = self.fields.iter().map(|Audited { said, .. }| {
            let (name, _) = validate::recorded_name(said);
            let formerly = self::formerly(&said.options.was);
            let redacted = said.options.redact.map(|_| quote!(.redacted()));
            let set = said.options.set.map(|_| quote!(.set()));
            let called = said.options.rename.as_ref().map(|_| {
                let own = &said.name.text;
                quote!(.called(#own))
            });
            quote!(#krate::FieldInfo::new(#name) #called #formerly #redacted #set)
        });
        let fits = self.parent.as_ref().map(|(parent, _)| self.fits(parent));
        let register =
            crate::register::register(private, &quote!(#private::Entry::of_type(&__AUDITED_TYPE)));
        quote! {
            const __AUDITED_FIELDS: &[#krate::FieldInfo] = &[#(#fields),*];
            static __AUDITED_TYPE: #krate::TypeInfo =
                #krate::TypeInfo::new(#private::module_path!(), #rust_name)
                    #named #formerly .keyed(&[#(#key),*]) #parent #label .with_fields(__AUDITED_FIELDS);
            #register
            #fits
        }
    }

    /// Output: `const _: () = assert!(<Order as AuditedFields>::TYPE.key_parts() == 1, "…");`
    ///
    /// Not for generic types: what a constant says must not depend on a parameter.
    fn fits(&self, parent: &Parent) -> Option<TokenStream> {
        let Self { krate, model, .. } = self;
        if !model.item.generics.params.is_empty() {
            return None;
        }
        let (ty, count) = (&parent.ty, parent.fields.len());
        let message = format!(
            "the parent's key has another number of parts than the {count} named here: name one field for each \
             part, those of its own parents first"
        );
        Some(quote_spanned! { parent.ty.span() =>
            const _: () = assert!(<#ty as #krate::AuditedFields>::TYPE.key_parts() == #count, #message);
        })
    }

    fn methods(&self) -> TokenStream {
        let Self { private, .. } = self;
        let site = Span::mixed_site();
        let type_path = self.parent.as_ref().map(|(Parent { ty, .. }, _)| {
            quote! {
                fn type_paths() -> #private::Vec<#private::String> {
                    #private::child_path::<#ty>(Self::TYPE)
                }
            }
        });
        let parent = self.parent.iter().flat_map(|(_, members)| members);
        let parts = parent.chain(&self.key).map(|member| self.text(member));
        let label = self.label.as_ref().map(|member| {
            let text = self.text(member);
            quote_spanned! {site=>
                fn label(&self) -> #private::Option<#private::String> {
                    #private::Option::Some(#text)
                }
            }
        });
        let each = |write: &dyn Fn(usize, &Audited<'_>) -> TokenStream| -> TokenStream {
            self.fields.iter().enumerate().map(|(n, field)| write(n, field)).collect()
        };
        let keep = each(
            &|_, Audited { probe, kept, span, .. }| quote_spanned!(*span=> #kept: #probe.keep(),),
        );
        let compare = each(
            &|n, Audited { probe, kept, span, .. }| quote_spanned!(*span=> #probe.compare(&before.#kept, delta, #n);),
        );
        let describe = each(
            &|n, Audited { probe, kept, span, .. }| quote_spanned!(*span=> #probe.describe(before.map(|before| &before.#kept), delta, #n);),
        );
        let refresh = each(
            &|_, Audited { probe, kept, span, .. }| quote_spanned!(*span=> #probe.refresh(&mut before.#kept);),
        );
        quote_spanned! {site=>
            #type_path

            fn target_id(&self) -> #private::String {
                #private::target_id(&[#(#parts),*])
            }

            #label

            fn snapshot(&self) -> Self::Snapshot {
                __AuditedSnapshot { #keep marker: #private::PhantomData }
            }

            fn compare(&self, before: &Self::Snapshot, delta: &mut #private::Delta<'_>) {
                #compare
            }

            fn describe(
                &self,
                before: #private::Option<&Self::Snapshot>,
                delta: &mut #private::Delta<'_>,
            ) {
                #describe
            }

            fn refresh(&self, before: &mut Self::Snapshot) {
                #refresh
            }
        }
    }

    /// Output: `private::key_part(&self.id).text()`
    fn text(&self, member: &Member) -> TokenStream {
        let private = &self.private;
        let span = Span::mixed_site().located_at(member.span());
        quote_spanned!(span=> #private::key_part(&self.#member).text())
    }

    /// The generics of the struct, and what recording demands of fields whose type holds a type parameter.
    fn bounded_generics(&self) -> Generics {
        let private = &self.private;
        let mut generics = self.model.item.generics.clone();
        let mut params: Vec<Ident> =
            generics.type_params().map(|param| param.ident.clone()).collect();
        if !params.is_empty() {
            params.push(Ident::new("Self", Span::call_site()));
        }
        for Audited { said, ty, span, .. } in &self.fields {
            let options = &said.options;
            if options.redact.is_some()
                || options.with.is_some()
                || !mentions(ty.to_token_stream(), &params)
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

fn audited<'a>(
    n: usize,
    said: &'a Field,
    field: &StructField<'a>,
    private: &TokenStream,
) -> Audited<'a> {
    let span = Span::mixed_site().located_at(field.ty.span());
    let member = &field.member;
    let options = &said.options;
    let probe = match (&options.with, options.redact, options.debug) {
        (Some(with), Some(_), _) => {
            quote_spanned!(span=> #private::redacted_with_field(&self.#member, #with))
        }
        (Some(with), None, _) => quote_spanned!(span=> #private::with_field(&self.#member, #with)),
        (None, Some(_), _) => quote_spanned!(span=> #private::redacted_field(&self.#member)),
        (None, None, Some(_)) => quote_spanned!(span=> #private::debug_field(&self.#member)),
        (None, None, None) => quote_spanned!(span=> #private::field(&self.#member)),
    };
    Audited {
        said,
        ty: field.ty,
        probe,
        kept: format_ident!("f{n}", span = Span::mixed_site()),
        span,
    }
}

/// A name at its place, but written by the derive: so the compiler does not say of our code, too, that what is
/// called so is deprecated.
fn by_derive(ident: &Ident) -> Ident {
    // A word of the user's edition may be a keyword of ours.
    Ident::new_raw(&ident.unraw().to_string(), Span::call_site().located_at(ident.span()))
}

/// What the struct's author lets pass in it, passes in what is made of it.
fn allowed(attr: &Attribute) -> Option<TokenStream> {
    let is_let_pass = attr.path().is_ident("allow") || attr.path().is_ident("expect");
    let syn::Meta::List(list) = attr.meta.clone() else { return None };
    let lints = list.tokens;
    is_let_pass.then(|| quote!(#[allow(#lints)]))
}

/// `.formerly(&["Aviator"])`
fn formerly(was: &[LitStr]) -> Option<TokenStream> {
    (!was.is_empty()).then(|| quote!(.formerly(&[#(#was),*])))
}

/// Whether one of `words` is among the tokens.
fn mentions(tokens: TokenStream, words: &[Ident]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => words.contains(&ident),
        TokenTree::Group(group) => mentions(group.stream(), words),
        _ => false,
    })
}

/// `Self` → the type itself: in the snapshot, `Self` would be the snapshot.
fn without_self(tokens: TokenStream, itself: &TokenStream) -> TokenStream {
    let mut output = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident) if ident == "Self" => {
                let is_path = matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
                output.extend(if is_path { quote!(<#itself>) } else { itself.clone() });
            }
            TokenTree::Group(group) => {
                let inner = without_self(group.stream(), itself);
                let mut changed = proc_macro2::Group::new(group.delimiter(), inner);
                changed.set_span(group.span());
                output.extend([TokenTree::from(changed)]);
            }
            other => output.extend([other]),
        }
    }
    output
}

/// Tokens as one would write them: `shop::Order<T>`.
fn spelled(tokens: TokenStream) -> String {
    let text = tokens.to_string();
    let mut spelled = String::new();
    for word in text.split_whitespace() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if spelled.ends_with(is_word) && word.starts_with(is_word) || spelled.ends_with(',') {
            spelled.push(' ');
        }
        spelled.push_str(word);
    }
    spelled
}
