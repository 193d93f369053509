//! Splits the pattern of a parameter, so that its names can be captured before the body's names are
//! bound.

use proc_macro2::Ident;
use syn::visit_mut::{self, VisitMut};
use syn::{FieldPat, Pat, PatIdent, PatOr, token};

use super::expansion::part_of_pattern;

/// Input:  `Point { x, y: (mut a, _) }`, the pattern of the parameter at `index`
///
/// Output: `Point { x: part_0, y: (part_1, _) }`, and the names `x` and `mut a`
pub(crate) fn split(pat: &Pat, index: usize) -> (Pat, Vec<PatIdent>) {
    let mut splitter = Splitter { index, names: Vec::new(), is_in_alternatives: false };
    let mut parts = pat.clone();
    splitter.visit_pat_mut(&mut parts);
    (parts, splitter.names)
}

struct Splitter {
    index: usize,
    names: Vec<PatIdent>,
    /// In `A(x) | B(x)`, both are one name. Elsewhere two names may differ only in their hygiene.
    is_in_alternatives: bool,
}

impl Splitter {
    /// The place of a name among those that were found before.
    fn known(&self, ident: &Ident) -> Option<usize> {
        let found = self.names.iter().position(|name| name.ident == *ident);
        found.filter(|_| self.is_in_alternatives)
    }
}

impl VisitMut for Splitter {
    fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
        let known = self.known(&pat.ident);
        let part = part_of_pattern(self.index, known.unwrap_or(self.names.len()));
        if known.is_none() {
            // `ref` and `ref mut` belong to the part, `mut` to the name.
            let mutability = pat.mutability.filter(|_| pat.by_ref.is_none());
            self.names.push(PatIdent {
                attrs: Vec::new(),
                by_ref: None,
                mutability,
                ident: pat.ident.clone(),
                subpat: None,
            });
        }
        if pat.by_ref.is_none() {
            pat.mutability = None;
        }
        pat.ident = part;
        visit_mut::visit_pat_ident_mut(self, pat);
    }

    fn visit_pat_or_mut(&mut self, pat: &mut PatOr) {
        let before = std::mem::replace(&mut self.is_in_alternatives, true);
        visit_mut::visit_pat_or_mut(self, pat);
        self.is_in_alternatives = before;
    }

    fn visit_field_pat_mut(&mut self, field: &mut FieldPat) {
        // `x` is short for `x: x`.
        field.colon_token.get_or_insert_with(token::Colon::default);
        visit_mut::visit_field_pat_mut(self, field);
    }
}

/// Whether a pattern contains `ref mut`.
pub(crate) fn has_ref_mut(pat: &Pat) -> bool {
    let mut finder = RefMutFinder(false);
    finder.visit_pat_mut(&mut pat.clone());
    finder.0
}

struct RefMutFinder(bool);

impl VisitMut for RefMutFinder {
    fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
        self.0 |= pat.by_ref.is_some() && pat.mutability.is_some();
        visit_mut::visit_pat_ident_mut(self, pat);
    }
}
