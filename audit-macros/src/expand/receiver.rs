//! How a body uses `self`, as far as its tokens tell.
//!
//! Only what is certain counts: a body that may use `self` in another way than by its place is taken to do so.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// How `self`, a reference, is used; the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Uses {
    /// Only what it refers to: `self.a`, `self.b()`, `*self`, `f(self)`.
    InPlace,
    /// It may be borrowed itself: `&self`, `self.to_string()`.
    Borrowed,
    /// It may be moved: `let this = self`, `Some(self)`.
    Moved,
}

/// How `tokens` use `self`.
pub(super) fn uses(tokens: TokenStream) -> Uses {
    level(&flat(tokens), Within::Other, false)
}

/// What the tokens of one level are within.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// The arguments of a function: a reference that is one of them is borrowed again.
    ///
    /// Not if the parameter is of a generic type; the functions that are known for it are excluded.
    Arguments,
    /// The arguments of a macro that formats: it borrows them.
    Format,
    Other,
}

/// Without the groups that stand for what was handed to a `macro_rules!`.
fn flat(tokens: TokenStream) -> Vec<TokenTree> {
    let mut all = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                all.extend(flat(group.stream()));
            }
            token => all.push(token),
        }
    }
    all
}

/// `moving`: within a `move` closure or block.
fn level(tokens: &[TokenTree], within: Within, moving: bool) -> Uses {
    let mut most = Uses::InPlace;
    let mut here = moving;
    let mut at = 0;
    while at < tokens.len() {
        let found = match &tokens[at] {
            TokenTree::Ident(word) if word == "use" && !is_punct(tokens.get(at + 1), '<') => {
                // `use self::a::{self, b};`
                while at < tokens.len() && !is_punct(tokens.get(at), ';') {
                    at += 1;
                }
                Uses::InPlace
            }
            TokenTree::Ident(word) if word == "move" => {
                if let Some(TokenTree::Group(block)) = tokens.get(at + 1) {
                    at += 1;
                    level(&flat(block.stream()), Within::Other, true)
                } else {
                    here = true;
                    at = after_closure_parameters(tokens, at + 1);
                    continue;
                }
            }
            TokenTree::Ident(word) if word == "self" && here && !is_path(tokens, at) => Uses::Moved,
            TokenTree::Ident(word) if word == "self" => used(tokens, at, within),
            TokenTree::Group(group) => level(&flat(group.stream()), within_group(tokens, at), here),
            // `"{self}"`
            TokenTree::Literal(literal) if literal.to_string().contains("{self") => Uses::Borrowed,
            TokenTree::Punct(punct) if matches!(punct.as_char(), ';' | ',') => {
                here = moving;
                Uses::InPlace
            }
            _ => Uses::InPlace,
        };
        most = most.max(found);
        at += 1;
    }
    most
}

/// Of `|a, b| body` from `at` on, where the body begins.
fn after_closure_parameters(tokens: &[TokenTree], at: usize) -> usize {
    if !is_punct(tokens.get(at), '|') {
        return at;
    }
    let end = tokens[at + 1..].iter().position(|token| is_punct(Some(token), '|'));
    end.map_or(tokens.len(), |end| at + 1 + end + 1)
}

/// How the `self` at `at` is used.
fn used(tokens: &[TokenTree], at: usize, within: Within) -> Uses {
    let before = |n: usize| at.checked_sub(n).map(|at| &tokens[at]);
    let next = tokens.get(at + 1);
    if is_path(tokens, at) {
        return Uses::InPlace;
    }
    if is_punct(next, '.') {
        return member(&tokens[at + 2..]);
    }
    // `*self`, but not `a * self`.
    if is_punct(before(1), '*') && !ends_operand(before(2)) {
        return Uses::InPlace;
    }
    if is_punct(before(1), '&') && !ends_operand(before(2)) {
        return Uses::Borrowed;
    }
    // `let Self { a, b } = self;`
    let takes_apart = is_punct(before(1), '=')
        && matches!(before(2), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace);
    if takes_apart && (is_punct(next, ';') || is_word(next, &["else"])) {
        return Uses::InPlace;
    }
    let is_whole = before(1).is_none_or(|token| is_punct(Some(token), ','))
        && next.is_none_or(|token| is_punct(Some(token), ','));
    match within {
        Within::Arguments if is_whole => Uses::InPlace,
        Within::Format => Uses::Borrowed,
        _ => Uses::Moved,
    }
}

/// `self::`
fn is_path(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens.get(at + 1), ':') && is_punct(tokens.get(at + 2), ':')
}

/// What `self.` is followed by.
fn member(tokens: &[TokenTree]) -> Uses {
    match tokens {
        // `self..`, `self.await`
        [TokenTree::Punct(_), ..] | [] => Uses::Moved,
        [name, ..] if is_word(Some(name), &["await"]) => Uses::Moved,
        [TokenTree::Ident(name), TokenTree::Group(_) | TokenTree::Punct(_), ..] => {
            let is_method = match &tokens[1] {
                TokenTree::Punct(punct) => punct.as_char() == ':',
                token => is_parentheses(token),
            };
            let name = name.to_string();
            match is_method {
                // By convention these take `self` itself, and a reference may have them, too.
                true if name.starts_with("into") => Uses::Moved,
                true if OF_REFERENCES.contains(&name.as_str()) => Uses::Borrowed,
                _ => Uses::InPlace,
            }
        }
        _ => Uses::InPlace,
    }
}

fn within_group(tokens: &[TokenTree], at: usize) -> Within {
    let before = |n: usize| at.checked_sub(n).map(|at| &tokens[at]);
    match (before(1), before(2)) {
        (Some(TokenTree::Punct(punct)), Some(TokenTree::Ident(name))) if punct.as_char() == '!' => {
            match FORMATS.contains(&name.to_string().as_str()) {
                true => Within::Format,
                false => Within::Other,
            }
        }
        (Some(TokenTree::Ident(name)), _) if is_parentheses(&tokens[at]) => {
            let name = name.to_string();
            let is_function = name.starts_with(|c: char| c.is_lowercase() || c == '_')
                && !KEYWORDS.contains(&name.as_str())
                && !TAKE_ANY_TYPE.contains(&name.as_str());
            if is_function { Within::Arguments } else { Within::Other }
        }
        _ => Within::Other,
    }
}

/// Whether an operator after `token` has it as its left side.
fn ends_operand(token: Option<&TokenTree>) -> bool {
    match token {
        Some(TokenTree::Ident(word)) => !KEYWORDS.contains(&word.to_string().as_str()),
        Some(TokenTree::Literal(_)) => true,
        Some(TokenTree::Group(group)) => group.delimiter() != Delimiter::Brace,
        Some(TokenTree::Punct(punct)) => punct.as_char() == '?',
        None => false,
    }
}

fn is_punct(token: Option<&TokenTree>, c: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == c)
}

fn is_word(token: Option<&TokenTree>, words: &[&str]) -> bool {
    matches!(token, Some(TokenTree::Ident(word)) if words.iter().any(|one| word == one))
}

fn is_parentheses(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis)
}

/// Words before parentheses, or before an operator, that are no names.
const KEYWORDS: &[&str] = &[
    "as", "break", "else", "for", "if", "in", "let", "loop", "match", "move", "mut", "ref",
    "return", "unsafe", "where", "while", "yield", "fn",
];

/// Macros whose arguments are borrowed.
const FORMATS: &[&str] = &[
    "format",
    "format_args",
    "print",
    "println",
    "eprint",
    "eprintln",
    "write",
    "writeln",
    "panic",
    "trace",
    "debug",
    "info",
    "warn",
    "error",
    "event",
    "assert",
    "debug_assert",
];

/// Functions that take a value of any type, and so the reference itself.
const TAKE_ANY_TYPE: &[&str] = &[
    "bind",
    "black_box",
    "drop",
    "extend",
    "forget",
    "from",
    "identity",
    "insert",
    "into_inner",
    "new",
    "once",
    "pin",
    "push",
    "push_back",
    "repeat",
    "replace_with",
    "send",
    "spawn",
    "to_value",
    "values",
    "zip",
];

/// Methods that `&mut T` has itself if `T` has them: they borrow the reference, not what it refers to.
const OF_REFERENCES: &[&str] = &[
    "as_mut",
    "as_ref",
    "borrow",
    "borrow_mut",
    "cmp",
    "eq",
    "fmt",
    "ge",
    "gt",
    "hash",
    "le",
    "lt",
    "ne",
    "partial_cmp",
    "serialize",
    "to_owned",
    "to_string",
    "try_into",
];

#[cfg(test)]
mod tests {
    use super::{Uses, uses};

    #[track_caller]
    fn all(expected: Uses, bodies: &[&str]) {
        for body in bodies {
            assert_eq!(uses(body.parse().expect("tokens")), expected, "{body}");
        }
    }

    #[test]
    fn what_it_refers_to_is_used_in_place() {
        all(
            Uses::InPlace,
            &[
                "self.a += 1; self.b(2)?; self.0 = 1;",
                "db.upsert(self)?; store::save(&db, self, 1)",
                "*self = Self::new(); let copy = *self; f(&mut *self, &*self);",
                "let Self { a, b } = self; let Self { a } = self else { return };",
                "use self::inner::{self, Other}; self::helper(1); own()",
                "let f = move |a, b| a + b; self.a = f(1, 2);",
                "each(move |a| a, self.b); self.items.iter().map(|i| i + self.a)",
                "if *self == other {} return *self;",
            ],
        );
    }

    #[test]
    fn the_reference_itself_may_be_borrowed() {
        all(
            Uses::Borrowed,
            &[
                "helper(&self)",
                "self.to_string()",
                r#"println!("{self:?}")"#,
                "info!(?self, a = 1)",
                r#"write!(f, "{}", self)"#,
            ],
        );
    }

    #[test]
    fn the_reference_may_be_moved() {
        all(
            Uses::Moved,
            &[
                "let this = self;",
                "self",
                "return self;",
                "Some(self)",
                "(self, 1)",
                "[self]",
                "for x in self {}",
                "match self { _ => {} }",
                "Holder { held: self }",
                "drop(self)",
                "list.push(self)",
                "dbg!(self)",
                "a * self",
                "a & self",
                "self..b",
                "self.await",
                "self.into_iter()",
                "self.into()",
                "f::<T>(self)",
                "move || self.a += 1",
                "spawn(async move { self.a += 1 })",
                "each(move |a, b| self.c + a)",
                "own!(self)",
            ],
        );
    }
}
