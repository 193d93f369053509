//! Finds every function that has a body, and puts an attribute on it in the text.
//!
//! The text is edited, not printed anew: line numbers, spacing and comments stay as their
//! author wrote them, so tests that look at `line!()` or at a panic's location still hold.

use std::collections::BTreeSet;
use std::ops::Range;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Block, FnModifiers, ImplItemFn, ItemFn, Macro, Signature, TraitItemFn, Visibility,
};

/// Why the language allows no wrapped body here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    /// A `const fn` may call nothing that is decided at run time.
    Const,
    /// A naked function's body is one `naked_asm!` and nothing else.
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
    /// Set where no attribute can be put.
    pub(crate) bare: Option<Bare>,
}

/// One parsed source file.
#[derive(Debug)]
pub(crate) struct Source {
    text: String,
    functions: Vec<Function>,
    in_macros: usize,
}

impl Source {
    /// Parses a file and finds its functions, in the order in which they start.
    ///
    /// # Errors
    ///
    /// When `text` is not a Rust file, such as the included half of an expression.
    pub(crate) fn parse(text: String) -> syn::Result<Self> {
        let mut finder =
            Finder { skipped: skipped_by_parser(&text), functions: Vec::new(), in_macros: 0 };
        finder.visit_file(&syn::parse_file(&text)?);
        let Finder { mut functions, in_macros, .. } = finder;
        functions.sort_by_key(|function| function.range.start);
        Ok(Self { text, functions, in_macros })
    }

    /// The functions with a body, nested ones included.
    pub(crate) fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// How many `fn name` stand inside macro definitions and invocations, where no attribute is put.
    pub(crate) fn in_macros(&self) -> usize {
        self.in_macros
    }

    /// The text with `attribute` before each function whose index is in `chosen`.
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

    /// The innermost of the `chosen` functions around byte `offset` of the annotated text.
    pub(crate) fn at(
        &self,
        offset: usize,
        attribute: &str,
        chosen: &BTreeSet<usize>,
    ) -> Option<usize> {
        let original = self.original(offset, attribute, chosen);
        // In order of their starts, so the last one around the place is the innermost.
        chosen.iter().copied().rfind(|&index| self.functions[index].range.contains(&original))
    }

    /// Where byte `offset` of the annotated text was before; an attribute counts as what is behind it.
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

/// Bytes at the start of the file that `syn::parse_file` takes away before it counts positions.
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
    fn found(
        &mut self,
        attrs: &[Attribute],
        vis: &Visibility,
        modifiers: &FnModifiers,
        sig: &Signature,
        body: &Block,
    ) {
        // Attributes and doc comments come before the visibility, so that the attribute under
        // proof is the innermost: another macro's attribute sees it, as it does in real use.
        let header =
            [vis.to_token_stream(), modifiers.defaultness.to_token_stream(), sig.to_token_stream()];
        let first = header.into_iter().flatten().next().expect("a signature has at least `fn`");
        let end = body.brace_token.span.close().byte_range().end;
        self.functions.push(Function {
            name: sig.ident.to_string(),
            line: sig.fn_token.span.start().line,
            range: first.span().byte_range().start + self.skipped..end + self.skipped,
            bare: bare(attrs, sig),
        });
    }
}

fn bare(attrs: &[Attribute], sig: &Signature) -> Option<Bare> {
    if sig.constness.is_some() {
        return Some(Bare::Const);
    }
    attrs.iter().any(is_naked).then_some(Bare::Naked)
}

/// True for `#[naked]` and `#[unsafe(naked)]`.
fn is_naked(attribute: &Attribute) -> bool {
    attribute.path().is_ident("naked")
        || attribute.path().is_ident("unsafe")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("naked"))
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.found(
            &function.attrs,
            &function.vis,
            &function.modifiers,
            &function.sig,
            &function.block,
        );
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.found(
            &function.attrs,
            &function.vis,
            &function.modifiers,
            &function.sig,
            &function.block,
        );
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(body) = &function.default {
            let vis = Visibility::Inherited;
            self.found(&function.attrs, &vis, &function.modifiers, &function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        self.in_macros += named_functions(invocation.tokens.clone());
    }
}

/// How often the tokens say `fn` and then a name or a macro variable.
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
