//! Collects which file uses what of which other file or crate.
//!
//! An import is a name in a `use`, or a path in code: `scope::enter(…)`, `crate::Record`, also
//! inside of macro calls. Three kinds of names are not imports:
//!
//! - a module by itself. `use crate::scope;` counts by what is used through it.
//! - a re-export (`pub use`) from a module's own submodules, as long as the file does not use the
//!   name itself.
//! - what `quote!` contains, because that is another crate's code.
//!
//! Method calls are not seen: `value.save()` names no file.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::cfg::{impl_item_attributes, is_test_only, item_attributes, statement_attributes};
use crate::resolve::{Place, Target};
use crate::source::{
    Binding, CrateId, ModuleId, ModulePath, UseLeaf, Workspace, is_reexport, spelled, use_leaves,
};

/// A name that a file takes from elsewhere, and the first line where it does so.
pub(crate) type Names = BTreeMap<String, usize>;

/// The imports of one crate.
#[derive(Default)]
pub(crate) struct Imports {
    /// From file to file of this crate.
    pub(crate) files: BTreeMap<String, BTreeMap<String, Names>>,
    /// From files of this crate to other crates of the workspace.
    pub(crate) crates: BTreeMap<String, BTreeMap<CrateId, Names>>,
}

impl Imports {
    /// Every import of the crate's own files.
    pub(crate) fn edges(&self) -> impl Iterator<Item = (&str, &str, &Names)> {
        self.files.iter().flat_map(|(from, targets)| {
            targets.iter().map(move |(to, names)| (from.as_str(), to.as_str(), names))
        })
    }

    /// Every import from other crates.
    pub(crate) fn crate_edges(&self) -> impl Iterator<Item = (&str, CrateId, &Names)> {
        self.crates.iter().flat_map(|(from, targets)| {
            targets.iter().map(move |(to, names)| (from.as_str(), *to, names))
        })
    }
}

/// The imports of all crates, in the order of [`Workspace::crates`].
pub(crate) fn collect(workspace: &Workspace) -> Vec<Imports> {
    let mut imports: Vec<Imports> = Vec::new();
    imports.resize_with(workspace.crates.len(), Imports::default);
    for (id, module) in workspace.modules.iter().enumerate() {
        let mut locals = Locals::default();
        module.items.iter().for_each(|item| locals.visit_item(item));
        let imports = &mut imports[module.owner];
        let mut visitor = Visitor { workspace, module: id, imports, locals: locals.0 };
        module.items.iter().for_each(|item| visitor.visit_item(item));
    }
    imports
}

/// Names of local variables and parameters.
#[derive(Default)]
struct Locals(BTreeSet<String>);

impl<'ast> Visit<'ast> for Locals {
    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        self.0.insert(spelled(&pattern.ident));
        visit::visit_pat_ident(self, pattern);
    }
}

struct Visitor<'a> {
    workspace: &'a Workspace,
    module: ModuleId,
    imports: &'a mut Imports,
    locals: BTreeSet<String>,
}

impl Visitor<'_> {
    fn add(&mut self, target: Target, name: &str, line: usize) {
        let from = &self.workspace.modules[self.module].file;
        let names = match (target.through, target.place) {
            (Some(other), _) => {
                self.imports.crates.entry(from.clone()).or_default().entry(other).or_default()
            }
            (None, Place::Item(definer)) => {
                let to = &self.workspace.modules[definer].file;
                if from == to {
                    return;
                }
                self.imports.files.entry(from.clone()).or_default().entry(to.clone()).or_default()
            }
            _ => return,
        };
        let first = names.entry(name.to_owned()).or_insert(line);
        *first = line.min(*first);
    }

    /// A path in code.
    fn add_path(&mut self, path: &ModulePath, line: usize) {
        if !path.is_absolute && self.is_counted_by_use(&path.segments[0]) {
            return;
        }
        let resolved = self.workspace.resolve(self.module, path);
        for target in resolved.targets {
            self.add(target, &resolved.named, line);
        }
    }

    /// Whether `name` is an item that a plain `use` brings in here, so that it has been counted
    /// there.
    fn is_counted_by_use(&self, name: &str) -> bool {
        let is_import =
            |binding: &Binding| matches!(binding, Binding::Import { is_reexport: false, .. });
        let path = ModulePath { segments: vec![name.to_owned()], is_absolute: false };
        self.workspace.modules[self.module]
            .names
            .get(name)
            .is_some_and(|bindings| bindings.iter().all(is_import))
            && self
                .workspace
                .resolve(self.module, &path)
                .targets
                .iter()
                .all(|target| matches!(target.place, Place::Item(_)))
    }

    fn add_use(&mut self, leaf: &UseLeaf, is_reexport: bool) {
        let resolved = self.workspace.resolve(self.module, &leaf.path);
        for mut target in resolved.targets {
            let mut named = resolved.named.as_str();
            if let (None, Place::Module(module)) = (&leaf.name, target.place) {
                target.place = Place::Item(module);
                named = "*";
            }
            if !(is_reexport && self.is_below(target)) {
                self.add(target, named, leaf.line);
            }
        }
    }

    /// Whether the target lies in this module or in one below it.
    fn is_below(&self, target: Target) -> bool {
        let (Place::Item(definer), None) = (target.place, target.through) else { return false };
        let mut place = Some(definer);
        while let Some(module) = place {
            if module == self.module {
                return true;
            }
            place = self.workspace.modules[module].parent;
        }
        false
    }

    fn add_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut position = 0;
        while position < tokens.len() {
            match &tokens[position] {
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                TokenTree::Ident(_) => {
                    let end = path_end(&tokens, position);
                    self.add_token_path(&tokens, position, end);
                    position = end - 1;
                }
                _ => {}
            }
            position += 1;
        }
    }

    /// The path in `tokens` from `start` to `end`.
    fn add_token_path(&mut self, tokens: &[TokenTree], start: usize, end: usize) {
        let before = |distance: usize| start.checked_sub(distance).map(|at| &tokens[at]);
        let segments: Vec<_> = tokens[start..end]
            .iter()
            .filter_map(|token| match token {
                TokenTree::Ident(ident) => Some(spelled(ident)),
                _ => None,
            })
            .collect();
        // A field or method, a lifetime, or a variable of `macro_rules!` is no path; `$crate`
        // begins one.
        let is_variable = is_punct(before(1), '$') && segments[0] != "crate";
        if is_punct(before(1), '.') || is_punct(before(1), '\'') || is_variable {
            return;
        }
        if segments.len() == 1 {
            let is_called = matches!(tokens.get(end), Some(TokenTree::Group(_)));
            let is_defined = matches!(before(1), Some(TokenTree::Ident(ident)) if ident == "fn");
            let is_type = segments[0].starts_with(char::is_uppercase);
            if is_defined || !(is_type || is_called && !self.locals.contains(&segments[0])) {
                return;
            }
        }
        let is_absolute = is_punct(before(1), ':') && is_punct(before(2), ':');
        let line = tokens[start].span().start().line;
        self.add_path(&ModulePath { segments, is_absolute }, line);
    }
}

fn is_punct(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

/// Where the path that begins with the identifier at `start` ends.
fn path_end(tokens: &[TokenTree], start: usize) -> usize {
    let mut end = start + 1;
    while is_punct(tokens.get(end), ':')
        && is_punct(tokens.get(end + 1), ':')
        && matches!(tokens.get(end + 2), Some(TokenTree::Ident(_)))
    {
        end += 3;
    }
    end
}

/// Whether a macro's tokens are code for another crate.
fn is_quoting(path: &syn::Path) -> bool {
    path.segments.last().is_some_and(|segment| {
        ["quote", "quote_spanned", "parse_quote", "parse_quote_spanned"]
            .iter()
            .any(|quoting| segment.ident == quoting)
    })
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test_only(item_attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        if !is_test_only(impl_item_attributes(item)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast syn::Stmt) {
        if !is_test_only(statement_attributes(statement)) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !is_test_only(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, value: &'ast syn::FieldValue) {
        if !is_test_only(&value.attrs) {
            visit::visit_field_value(self, value);
        }
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        if !is_test_only(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if !is_test_only(&arm.attrs) {
            visit::visit_arm(self, arm);
        }
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_reexport = is_reexport(item);
        for leaf in use_leaves(item) {
            self.add_use(&leaf, is_reexport);
        }
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        match &*call.func {
            syn::Expr::Path(function) => visit::visit_expr_path(self, function),
            function => self.visit_expr(function),
        }
        call.args.iter().for_each(|argument| self.visit_expr(argument));
    }

    fn visit_expr_path(&mut self, expression: &'ast syn::ExprPath) {
        let is_local =
            expression.path.get_ident().is_some_and(|name| self.locals.contains(&spelled(name)));
        if !is_local {
            visit::visit_expr_path(self, expression);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| spelled(&segment.ident)).collect();
        let is_absolute = path.leading_colon.is_some();
        self.add_path(&ModulePath { segments, is_absolute }, path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        if !is_quoting(&call.path) {
            self.add_tokens(call.tokens.clone());
        }
    }
}
