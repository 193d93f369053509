//! Reads the annotated function. Its body stays a token tree: it is not parsed here.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, FnArg, Pat, PatType, ReceiverKind, Signature, Token, Type, Visibility, braced,
};

use super::fragments::with_visible_fragments;
use crate::tokens::is_ident;

/// A function with a body.
#[derive(Clone)]
pub(crate) struct Function {
    /// The attributes of the function, those written inside its body included.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) defaultness: Option<Token![default]>,
    pub(crate) sig: Signature,
    /// The body with its braces. The braces keep their span, and with it their edition.
    pub(crate) body: TokenTree,
}

/// A name that a parameter binds.
pub(crate) struct Binding<'f> {
    /// The name in code.
    pub(crate) ident: Ident,
    /// The name in the record: `type`, not `r#type`.
    pub(crate) name: String,
    /// The attributes of the parameter.
    pub(crate) attrs: &'f [Attribute],
    /// The place of the parameter, if its pattern is a tuple struct such as `Json(order)`.
    pub(crate) pattern: Option<usize>,
    /// The place of the parameter in the signature.
    pub(crate) parameter: usize,
    /// The place of the name in the pattern of the parameter.
    pub(crate) nth: usize,
}

/// Parses `item`.
///
/// # Errors
///
/// If `item` is not a function with a body. The message says what to do instead.
pub(crate) fn parse(item: TokenStream) -> syn::Result<Function> {
    match wrong_item(&item) {
        Some(error) => Err(error),
        None => syn::parse2(item),
    }
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let defaultness = input.parse()?;
        let is_foreign = input.call(safe_keyword)?;
        let sig: Signature = input.parse()?;
        if is_foreign || input.peek(Token![;]) {
            let message = "a function without a body can't be audited: apply `#[audit_method]` to \
                           its implementations, give it a default body, or wrap it in a function";
            return Err(syn::Error::new(sig.ident.span(), message));
        }
        let content;
        let brace = braced!(content in input);
        // `#![allow(…)]` inside the body means the same as `#[allow(…)]` on the function.
        let inner = content.call(Attribute::parse_inner)?.into_iter();
        attrs.extend(inner.map(|attr| Attribute { style: syn::AttrStyle::Outer, ..attr }));
        let content = with_visible_fragments(content.parse()?);
        let mut body = Group::new(Delimiter::Brace, content);
        body.set_span(brace.span.join());
        Ok(Self { attrs, vis, defaultness, sig, body: body.into() })
    }
}

/// `safe`, which stands only before functions of an `extern` block.
fn safe_keyword(input: ParseStream<'_>) -> syn::Result<bool> {
    let is_safe = input.fork().call(Ident::parse_any).is_ok_and(|ident| ident == "safe");
    if is_safe {
        input.call(Ident::parse_any)?;
    }
    Ok(is_safe)
}

const CLOSURE: &str = "a closure: call the closure through `audited::execute!`";
const OTHER_ITEM: &str = "this item: apply it to a function";

/// The error for an item that is not a function.
fn wrong_item(item: &TokenStream) -> Option<syn::Error> {
    let mut tokens = item.clone().into_iter().peekable();
    while let Some(token) = tokens.next() {
        let (span, advice) = match &token {
            TokenTree::Punct(punct) if punct.as_char() == '|' => (punct.span(), CLOSURE),
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                (group.span_open(), OTHER_ITEM)
            }
            TokenTree::Ident(keyword) => match item_kind(keyword, tokens.peek()) {
                ItemKind::NotYetKnown => continue,
                ItemKind::MaybeFunction => return None,
                ItemKind::NotFunction(advice) => (keyword.span(), advice),
            },
            _ => continue,
        };
        let message = format!("`#[audit_method]` can't be applied to {advice}");
        return Some(syn::Error::new(span, message));
    }
    None
}

/// What a keyword shows about the item that it begins.
enum ItemKind {
    NotYetKnown,
    /// If it is not a function, syn reports it.
    MaybeFunction,
    /// Not a function: what it is, and what to do.
    NotFunction(&'static str),
}

fn item_kind(keyword: &Ident, next: Option<&TokenTree>) -> ItemKind {
    ItemKind::NotFunction(match keyword.to_string().as_str() {
        "pub" | "default" | "crate" => return ItemKind::NotYetKnown,
        // Each of these begins a function or something else.
        "const" | "unsafe" | "extern" | "async" | "safe" => match next {
            Some(TokenTree::Ident(next)) if next == "fn" => return ItemKind::MaybeFunction,
            Some(TokenTree::Punct(_)) | None => CLOSURE,
            Some(TokenTree::Ident(next)) if keyword == "const" && !is_before_fn(next) => OTHER_ITEM,
            _ => return ItemKind::NotYetKnown,
        },
        "impl" => "an `impl` block: apply it to each method that should be audited",
        "trait" => {
            "a trait: apply it to its default methods, and to the methods of its implementations"
        }
        "struct" => {
            "a struct: apply it to the methods of the struct, or use `#[audited_fields]` to record \
             changes of its fields"
        }
        "enum" => {
            "an enum: apply it to the methods of the enum, or use `#[audited_fields]` on a struct \
             that has a field of this type"
        }
        "union" if matches!(next, Some(TokenTree::Ident(_))) => {
            "a union: apply it to the methods of the union"
        }
        "mod" => "a module: apply it to each function that should be audited",
        "static" | "type" | "use" | "macro_rules" => OTHER_ITEM,
        "let" | "move" => CLOSURE,
        "gen" => "a generator: apply it to a function that is called once and returns once",
        _ => return ItemKind::MaybeFunction,
    })
}

/// Whether `keyword` may stand between `const` and the name of a function.
fn is_before_fn(keyword: &Ident) -> bool {
    ["async", "unsafe", "safe", "extern", "fn"].iter().any(|before| keyword == before)
}

impl Function {
    /// Whether it is an `async fn`.
    pub(crate) fn is_async(&self) -> bool {
        self.sig.asyncness.is_some()
    }

    /// Whether it has `#[track_caller]`, also inside a `cfg_attr`.
    pub(crate) fn is_track_caller(&self) -> bool {
        let names_it = |token: &TokenTree| is_ident(Some(token), "track_caller");
        self.attrs.iter().any(|attr| {
            attr.path().is_ident("track_caller")
                || (attr.path().is_ident("cfg_attr")
                    && matches!(&attr.meta, syn::Meta::List(list)
                        if list.tokens.clone().into_iter().any(|token| names_it(&token))))
        })
    }

    /// Whether the expansion may give parameters a hygiene of its own, so that the body's names
    /// shadow nothing.
    ///
    /// It may not if another attribute macro follows, which may refer to a parameter by its name;
    /// if a parameter is `mut`, which the compiler would call unused if only a field of it is
    /// assigned; or if two names differ only in their hygiene or their `cfg`, because they would
    /// become one name.
    pub(crate) fn can_hide_parameters(&self) -> bool {
        let bindings = self.bindings();
        let is_mut = |input: &FnArg| {
            matches!(input, FnArg::Typed(typed)
                if matches!(&*typed.pat, Pat::Ident(pat) if pat.mutability.is_some()))
        };
        let is_from_an_expansion = |binding: &Binding<'_>| binding.name.starts_with("__audited");
        self.has_unique_names()
            && !bindings.iter().any(is_from_an_expansion)
            && !self.sig.inputs.iter().any(is_mut)
            && self.attrs.iter().all(is_built_in)
    }

    /// Whether no two parameters bind the same name. Two names may differ only in their hygiene.
    pub(crate) fn has_unique_names(&self) -> bool {
        let bindings = self.bindings();
        let mut names: Vec<&str> = bindings.iter().map(|binding| &*binding.name).collect();
        names.sort_unstable();
        names.dedup();
        names.len() == bindings.len()
    }

    /// Whether the receiver is a reference, as it is written.
    pub(crate) fn has_reference_receiver(&self) -> bool {
        match self.sig.inputs.first() {
            Some(FnArg::Receiver(receiver)) => match &receiver.kind {
                ReceiverKind::Reference(..) => true,
                ReceiverKind::Typed(_, ty) => matches!(&**ty, Type::Reference(_)),
                _ => false,
            },
            _ => false,
        }
    }

    /// Every name that the parameters bind, in order.
    pub(crate) fn bindings(&self) -> Vec<Binding<'_>> {
        let mut bindings = Vec::new();
        for (parameter, input) in self.sig.inputs.iter().enumerate() {
            let mut idents = Vec::new();
            let mut pattern = None;
            let attrs = match input {
                FnArg::Receiver(receiver) => {
                    idents.push(Ident::new("self", receiver.self_token.span));
                    &receiver.attrs
                }
                FnArg::Typed(typed) => {
                    bound_names(&typed.pat, &mut idents);
                    pattern = matches!(&*typed.pat, Pat::TupleStruct(_)).then_some(parameter);
                    &typed.attrs
                }
            };
            bindings.extend(idents.into_iter().enumerate().map(|(nth, ident)| Binding {
                name: ident.unraw().to_string(),
                ident,
                attrs,
                pattern,
                parameter,
                nth,
            }));
        }
        bindings
    }
}

/// Whether an attribute is known to belong to the compiler or one of its tools, and so leaves a
/// function as it is. Only the name is available: a macro can't resolve the path of an attribute. A name
/// that is missing here only makes the expansion longer.
pub(crate) fn is_built_in(attr: &Attribute) -> bool {
    const NAMES: &[&str] = &[
        "allow",
        "cfg",
        "cold",
        "deny",
        "deprecated",
        "doc",
        "expect",
        "export_name",
        "forbid",
        "inline",
        "link_section",
        "must_use",
        "no_mangle",
        "target_feature",
        "track_caller",
        "warn",
    ];
    let first = attr.path().segments.first();
    let is_of_a_tool =
        first.is_some_and(|first| first.ident == "clippy" || first.ident == "rustfmt");
    is_of_a_tool || NAMES.iter().any(|name| attr.path().is_ident(name))
}

/// Collects the names that `pat` binds.
fn bound_names(pat: &Pat, idents: &mut Vec<Ident>) {
    match pat {
        Pat::Ident(pat) => {
            idents.push(pat.ident.clone());
            if let Some((_, inner)) = &pat.subpat {
                bound_names(inner, idents);
            }
        }
        Pat::Paren(pat) => bound_names(&pat.pat, idents),
        Pat::Reference(pat) => bound_names(&pat.pat, idents),
        Pat::Slice(pat) => pat.elems.iter().for_each(|pat| bound_names(pat, idents)),
        Pat::Struct(pat) => pat.fields.iter().for_each(|field| bound_names(&field.pat, idents)),
        Pat::Tuple(pat) => pat.elems.iter().for_each(|pat| bound_names(pat, idents)),
        Pat::TupleStruct(pat) => pat.elems.iter().for_each(|pat| bound_names(pat, idents)),
        Pat::Type(pat) => bound_names(&pat.pat, idents),
        // All alternatives bind the same names.
        Pat::Or(pat) => pat.cases.first().into_iter().for_each(|pat| bound_names(pat, idents)),
        _ => {}
    }
}

/// Whether a pattern is `a` or `mut a`.
pub(crate) fn is_plain(pat: &Pat) -> bool {
    matches!(pat, Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none())
}

/// The name of a parameter in the signature of the expansion.
///
/// A plain name stays. Any other pattern gets a generated name and is matched where the body
/// begins: what a pattern leaves unbound must live, and be dropped, as in the original function.
pub(crate) fn parameter_ident(typed: &PatType, index: usize) -> Ident {
    match &*typed.pat {
        Pat::Ident(pat) if is_plain(&typed.pat) => pat.ident.clone(),
        _ => Ident::new(&format!("__audited_argument_{index}"), Span::mixed_site()),
    }
}
