//! Reads the function that bears the attribute. Its body stays tokens: it is never parsed.

use proc_macro2::{Delimiter, Group, Ident, Punct, Spacing, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, FnArg, Pat, PatType, Signature, Token, Visibility, braced};

/// A function with a body.
#[derive(Clone)]
pub(crate) struct Function {
    /// Attributes, with those from inside the body lifted out.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) defaultness: Option<Token![default]>,
    pub(crate) sig: Signature,
    /// The body with its braces; the braces keep their span, and with it their edition.
    pub(crate) body: TokenTree,
}

/// One value that the function is given, under a name that its body knows.
pub(crate) struct Binding<'f> {
    /// As it stands in code.
    pub(crate) ident: Ident,
    /// As it is recorded: `type`, not `r#type`.
    pub(crate) name: String,
    /// The attributes of the parameter that binds it.
    pub(crate) attrs: &'f [Attribute],
}

/// Parses `item`.
///
/// # Errors
///
/// When it is no function with a body; the message says what to do instead.
pub(crate) fn parse(item: TokenStream) -> syn::Result<Function> {
    if let Some(error) = wrong_item(&item) {
        return Err(error);
    }
    syn::parse2(item)
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let defaultness = input.parse()?;
        let is_foreign = input.call(foreign_word)?;
        let sig: Signature = input.parse()?;
        if is_foreign || input.peek(Token![;]) {
            let message = "a function without a body can't be put on record: put `#[audit_method]` on \
                           its implementations, give it a default body, or wrap it in a function";
            return Err(syn::Error::new(sig.ident.span(), message));
        }
        let content;
        let brace = braced!(content in input);
        attrs.extend(content.call(Attribute::parse_inner)?.into_iter().map(lift));
        let statements = braces_kept(content.parse()?);
        let mut body = Group::new(Delimiter::Brace, statements);
        body.set_span(brace.span.join());
        Ok(Self { attrs, vis, defaultness, sig, body: body.into() })
    }
}

/// Where a body ends in a `$block` of `macro_rules!`, makes its braces look needed.
///
/// The block comes in a group without delimiters. The compiler forgets that group when it reads what a macro
/// like ours returns, and takes the block for one that was written there.
fn braces_kept(statements: TokenStream) -> TokenStream {
    let mut trees: Vec<TokenTree> = statements.into_iter().collect();
    if let Some(TokenTree::Group(last)) = trees.last_mut()
        && last.delimiter() == Delimiter::None
    {
        let mut inner: Vec<TokenTree> = last.stream().into_iter().collect();
        if let [block] = inner.as_mut_slice() {
            *block = after_empty_statement(block);
            let span = last.span();
            *last = Group::new(Delimiter::None, inner.into_iter().collect());
            last.set_span(span);
        }
    }
    trees.into_iter().collect()
}

/// `{ body }` → `{ ; body }`: a block of more than one statement, whose braces no lint finds needless.
pub(crate) fn after_empty_statement(block: &TokenTree) -> TokenTree {
    let TokenTree::Group(group) = block else { return block.clone() };
    if group.delimiter() != Delimiter::Brace {
        return block.clone();
    }
    let mut semicolon = Punct::new(';', Spacing::Alone);
    semicolon.set_span(Span::mixed_site());
    let statements = std::iter::once(TokenTree::from(semicolon)).chain(group.stream());
    let mut quiet = Group::new(Delimiter::Brace, statements.collect());
    quiet.set_span(group.span());
    quiet.into()
}

/// `safe`, which only functions of an `extern` block bear.
fn foreign_word(input: ParseStream<'_>) -> syn::Result<bool> {
    let is_safe = input.fork().call(Ident::parse_any).is_ok_and(|word| word == "safe");
    if is_safe {
        input.call(Ident::parse_any)?;
    }
    Ok(is_safe)
}

/// `#![allow(..)]` inside the body means the same as `#[allow(..)]` on the function.
fn lift(mut attr: Attribute) -> Attribute {
    attr.style = syn::AttrStyle::Outer;
    attr
}

const GOES_ON: &str = "`#[audit_method]` goes on functions, not on";
const ITEM: &str = "this item: put it on a function";
/// What may stand between `const` and `fn`.
const BEFORE_FN: &[&str] = &["async", "unsafe", "safe", "extern", "fn"];
const CLOSURE: &str = "a closure: call it through `audited::execute!`";

/// A message for items that are no functions.
fn wrong_item(item: &TokenStream) -> Option<syn::Error> {
    let mut tokens = item.clone().into_iter().peekable();
    while let Some(token) = tokens.next() {
        if let TokenTree::Punct(punct) = &token
            && punct.as_char() == '|'
        {
            return Some(syn::Error::new(punct.span(), format!("{GOES_ON} {CLOSURE}")));
        }
        if let TokenTree::Group(group) = &token
            && group.delimiter() == Delimiter::Brace
        {
            return Some(syn::Error::new(group.span_open(), format!("{GOES_ON} {ITEM}")));
        }
        let TokenTree::Ident(word) = &token else { continue };
        let advice = match word.to_string().as_str() {
            "pub" | "default" | "crate" => continue,
            // These may begin a function, and each of them another item, too.
            "const" | "unsafe" | "extern" | "async" | "safe" => match tokens.peek() {
                Some(TokenTree::Ident(next)) if next == "fn" => return None,
                Some(TokenTree::Punct(_)) | None => CLOSURE,
                Some(TokenTree::Ident(next))
                    if word == "const" && !BEFORE_FN.iter().any(|w| next == w) =>
                {
                    ITEM
                }
                _ => continue,
            },
            "impl" => "an `impl` block: put it on each method that belongs on the record",
            "trait" => {
                "a trait: put it on its default methods, and on the methods of its implementations"
            }
            "struct" => {
                "a type: put it on its methods, and `#[audited_fields]` on a struct whose changes belong on \
                 the record"
            }
            "enum" => {
                "a type: put it on its methods, and `#[audited_fields]` on a struct that has a field of it"
            }
            "union" if matches!(tokens.peek(), Some(TokenTree::Ident(_))) => {
                "a union: put it on its methods"
            }
            "mod" => "a module: put it on each function that belongs on the record",
            "static" | "type" | "use" | "macro_rules" => ITEM,
            "let" | "move" => CLOSURE,
            "gen" => "a generator: put it on a function that is called once and returns once",
            _ => return None,
        };
        return Some(syn::Error::new(word.span(), format!("{GOES_ON} {advice}")));
    }
    None
}

impl Function {
    /// Whether it is `async fn`.
    pub(crate) fn is_async(&self) -> bool {
        self.sig.asyncness.is_some()
    }

    /// Whether it bears `#[track_caller]`, be it behind a `cfg_attr`.
    pub(crate) fn is_track_caller(&self) -> bool {
        self.attrs.iter().any(|attr| {
            attr.path().is_ident("track_caller")
                || (attr.path().is_ident("cfg_attr")
                    && matches!(&attr.meta, syn::Meta::List(list)
                        if list.tokens.clone().into_iter().any(|token|
                            matches!(&token, TokenTree::Ident(word) if word == "track_caller"))))
        })
    }

    /// Whether the signature may take plain parameters under names that only the expansion can see.
    ///
    /// Not where another attribute macro comes after ours: it may speak of a parameter by its name. Nor
    /// where one is `mut`: the compiler would call it unused if only a field of it is assigned.
    pub(crate) fn can_hide_parameters(&self) -> bool {
        let bindings = self.bindings();
        let mut names: Vec<&str> = bindings.iter().map(|binding| &*binding.name).collect();
        names.sort_unstable();
        names.dedup();
        let is_mut = |input: &FnArg| {
            matches!(input, FnArg::Typed(typed)
                if matches!(&*typed.pat, Pat::Ident(pat) if pat.mutability.is_some()))
        };
        let is_ours = |name: &&str| name.starts_with("__audited");
        // Two that differ in their hygiene, or in their `cfg`, would be one.
        names.len() == bindings.len()
            && !names.iter().any(is_ours)
            && !self.sig.inputs.iter().any(is_mut)
            && self.attrs.iter().all(is_no_macro)
    }

    /// Every name that the parameters bind, in their order.
    pub(crate) fn bindings(&self) -> Vec<Binding<'_>> {
        let mut bindings = Vec::new();
        for input in &self.sig.inputs {
            let mut idents = Vec::new();
            let attrs = match input {
                FnArg::Receiver(receiver) => {
                    idents.push(Ident::new("self", receiver.self_token.span));
                    &receiver.attrs
                }
                FnArg::Typed(typed) => {
                    bound_by(&typed.pat, &mut idents);
                    &typed.attrs
                }
            };
            bindings.extend(idents.into_iter().map(|ident| Binding {
                name: ident.unraw().to_string(),
                ident,
                attrs,
            }));
        }
        bindings
    }
}

/// Attributes of the compiler and its tools, which leave a function as it is.
const NO_MACROS: &[&str] = &[
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

fn is_no_macro(attr: &Attribute) -> bool {
    let first = attr.path().segments.first();
    let is_of_a_tool =
        first.is_some_and(|first| first.ident == "clippy" || first.ident == "rustfmt");
    is_of_a_tool || NO_MACROS.iter().any(|name| attr.path().is_ident(name))
}

/// The names that `pat` binds.
fn bound_by(pat: &Pat, idents: &mut Vec<Ident>) {
    match pat {
        Pat::Ident(pat) => {
            idents.push(pat.ident.clone());
            if let Some((_, inner)) = &pat.subpat {
                bound_by(inner, idents);
            }
        }
        Pat::Paren(pat) => bound_by(&pat.pat, idents),
        Pat::Reference(pat) => bound_by(&pat.pat, idents),
        Pat::Slice(pat) => pat.elems.iter().for_each(|pat| bound_by(pat, idents)),
        Pat::Struct(pat) => pat.fields.iter().for_each(|field| bound_by(&field.pat, idents)),
        Pat::Tuple(pat) => pat.elems.iter().for_each(|pat| bound_by(pat, idents)),
        Pat::TupleStruct(pat) => pat.elems.iter().for_each(|pat| bound_by(pat, idents)),
        Pat::Type(pat) => bound_by(&pat.pat, idents),
        // All alternatives bind the same names.
        Pat::Or(pat) => pat.cases.first().into_iter().for_each(|pat| bound_by(pat, idents)),
        _ => {}
    }
}

/// The name under which the signature takes a parameter, and the pattern that the body sees.
///
/// A plain name keeps its name. Any other pattern is taken under a name of ours and matched where the
/// body begins, because what a pattern leaves unbound must live, and be dropped, as in the bare function.
pub(crate) fn parameter_ident(typed: &PatType, index: usize) -> Ident {
    match &*typed.pat {
        Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none() => pat.ident.clone(),
        _ => Ident::new(&format!("__audited_argument_{index}"), Span::mixed_site()),
    }
}
