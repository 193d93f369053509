//! Finds every function with a body and inserts an attribute before it in the source text.
//!
//! The text is edited instead of printed from the syntax tree. Line numbers, spacing and comments
//! stay the same, so tests that use `line!()` or the location of a panic still pass.

use std::collections::BTreeSet;
use std::ops::Range;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Block, FnModifiers, ImplItemFn, ItemFn, Macro, Signature, TraitItemFn, Visibility,
};

/// Why a function cannot have the attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// A `const fn` cannot call the recorder.
    Const,
    /// The body of a naked function is a single `naked_asm!`.
    Naked,
}

/// A function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its identifier, without the path to it.
    pub(crate) name: String,
    /// The line of its `fn` keyword, from 1.
    pub(crate) line: usize,
    /// Bytes of the unmodified text: from the visibility or first keyword to the closing brace.
    pub(crate) range: Range<usize>,
    /// Set if the function cannot have the attribute.
    pub(crate) obstacle: Option<Obstacle>,
}

/// One parsed source file.
#[derive(Debug)]
pub(crate) struct Source {
    text: String,
    functions: Vec<Function>,
    in_macros: usize,
}

impl Source {
    /// Parses a file and finds its functions in source order.
    ///
    /// # Errors
    ///
    /// If `text` is not a complete Rust file, such as an included expression.
    pub(crate) fn parse(text: String) -> syn::Result<Self> {
        let mut finder =
            Finder { skipped: skipped_by_parser(&text), functions: Vec::new(), in_macros: 0 };
        finder.visit_file(&syn::parse_file(&text)?);
        let Finder { mut functions, in_macros, .. } = finder;
        functions.sort_by_key(|function| function.range.start);
        Ok(Self { text, functions, in_macros })
    }

    /// The functions with a body, including nested ones.
    pub(crate) fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// How many functions are in macro definitions and calls, which are not annotated.
    pub(crate) fn in_macros(&self) -> usize {
        self.in_macros
    }

    /// Returns the text with `attribute` before each function whose index is in `chosen`.
    pub(crate) fn annotated(&self, attribute: &str, chosen: &BTreeSet<usize>) -> String {
        let mut text = String::with_capacity(self.text.len() + chosen.len() * attribute.len());
        let mut copied = 0;
        for &index in chosen {
            let start = self.functions[index].range.start;
            text.push_str(&self.text[copied..start]);
            text.push_str(attribute);
            copied = start;
        }
        text.push_str(&self.text[copied..]);
        text
    }

    /// Returns the innermost of the `chosen` functions around byte `offset` of the annotated text.
    pub(crate) fn at(
        &self,
        offset: usize,
        attribute: &str,
        chosen: &BTreeSet<usize>,
    ) -> Option<usize> {
        let original = self.original(offset, attribute, chosen);
        // Functions are in source order, so the last one around the place is the innermost.
        chosen.iter().copied().rfind(|&index| self.functions[index].range.contains(&original))
    }

    /// Returns the offset in the original text for an `offset` in the annotated text. An inserted
    /// attribute has the offset of its function.
    fn original(&self, offset: usize, attribute: &str, chosen: &BTreeSet<usize>) -> usize {
        let mut inserted = 0;
        for &index in chosen {
            let start = self.functions[index].range.start;
            if offset < start + inserted {
                break;
            }
            if offset < start + inserted + attribute.len() {
                return start;
            }
            inserted += attribute.len();
        }
        offset - inserted
    }
}

/// Returns how many bytes `syn::parse_file` removes from the start of the file before it counts
/// positions.
fn skipped_by_parser(text: &str) -> usize {
    let bom = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let rest = &text[bom..];
    let shebang = rest.starts_with("#!") && !rest[2..].trim_start().starts_with('[');
    bom + if shebang { rest.find('\n').unwrap_or(rest.len()) } else { 0 }
}

struct Finder {
    skipped: usize,
    functions: Vec<Function>,
    in_macros: usize,
}

impl Finder {
    fn add(
        &mut self,
        attrs: &[Attribute],
        vis: &Visibility,
        modifiers: &FnModifiers,
        sig: &Signature,
        body: &Block,
    ) {
        // The attribute comes after all others and before the visibility. So other attribute macros
        // see it, as in real use.
        let header =
            [vis.to_token_stream(), modifiers.defaultness.to_token_stream(), sig.to_token_stream()];
        let first = header.into_iter().flatten().next().expect("a signature has at least `fn`");
        let end = body.brace_token.span.close().byte_range().end;
        self.functions.push(Function {
            name: sig.ident.to_string(),
            line: sig.fn_token.span.start().line,
            range: first.span().byte_range().start + self.skipped..end + self.skipped,
            obstacle: obstacle(attrs, sig),
        });
    }
}

fn obstacle(attrs: &[Attribute], sig: &Signature) -> Option<Obstacle> {
    if sig.constness.is_some() {
        return Some(Obstacle::Const);
    }
    attrs.iter().any(is_naked).then_some(Obstacle::Naked)
}

/// Whether this is `#[naked]` or `#[unsafe(naked)]`.
fn is_naked(attribute: &Attribute) -> bool {
    attribute.path().is_ident("naked")
        || attribute.path().is_ident("unsafe")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("naked"))
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        let ItemFn { attrs, vis, modifiers, sig, block, .. } = function;
        self.add(attrs, vis, modifiers, sig, block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        let ImplItemFn { attrs, vis, modifiers, sig, block, .. } = function;
        self.add(attrs, vis, modifiers, sig, block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(body) = &function.default {
            let vis = Visibility::Inherited;
            self.add(&function.attrs, &vis, &function.modifiers, &function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        self.in_macros += named_functions(invocation.tokens.clone());
    }
}

/// Counts `fn` followed by a name or a macro variable.
fn named_functions(tokens: TokenStream) -> usize {
    let mut count = 0;
    let mut after_fn = false;
    for token in tokens {
        count += match &token {
            TokenTree::Group(group) => named_functions(group.stream()),
            TokenTree::Ident(_) => usize::from(after_fn),
            TokenTree::Punct(punct) => usize::from(after_fn && punct.as_char() == '$'),
            TokenTree::Literal(_) => 0,
        };
        after_fn = matches!(&token, TokenTree::Ident(ident) if ident == "fn");
    }
    count
}

#[cfg(test)]
mod tests;
