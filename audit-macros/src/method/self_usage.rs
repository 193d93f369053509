//! How a body uses `self`, as far as its tokens show.
//!
//! A `&mut self` can be compared after the call only if the body's closure borrows it. That works
//! if the body uses only what `self` refers to. If a token sequence is ambiguous, the stronger use
//! is assumed.
//!
//! Decisions depend on the names of functions, methods and macros, because nothing else is
//! available: the closure must be written before a method call can be resolved. If a list below
//! lacks a name, and the type of `self` is audited, the function may not compile: its closure
//! borrows a `self` that the body moves.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::tokens::{is_ident, is_punct};

/// How `self`, a reference, is used. The greatest use in a body counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SelfUse {
    /// Only what it refers to: `self.a`, `self.b()`, `*self`, `f(self)`.
    InPlace,
    /// The reference itself may be borrowed: `&self`, `self.to_string()`.
    Borrowed,
    /// The reference itself may be moved: `let this = self`, `Some(self)`.
    Moved,
}

/// How `tokens` use `self`.
pub(crate) fn self_use(tokens: TokenStream) -> SelfUse {
    use_in(&flatten(tokens), Surrounding::Other, false)
}

/// What encloses a sequence of tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Surrounding {
    /// The arguments of a function. A reference among them is reborrowed, unless the parameter has
    /// a generic type: see [`TAKE_ANY_TYPE`].
    Arguments,
    /// The arguments of a formatting macro, which borrows them.
    Format,
    Other,
}

/// The tokens without the invisible groups around what was passed to a `macro_rules!`.
fn flatten(tokens: TokenStream) -> Vec<TokenTree> {
    let mut all = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                all.extend(flatten(group.stream()));
            }
            token => all.push(token),
        }
    }
    all
}

/// The greatest use in `tokens`. `is_moving`: they are inside a `move` closure or block.
fn use_in(tokens: &[TokenTree], surrounding: Surrounding, is_moving: bool) -> SelfUse {
    let mut greatest = SelfUse::InPlace;
    // Whether the current statement is a `move` closure.
    let mut is_moving_here = is_moving;
    let mut at = 0;
    while at < tokens.len() {
        let found = match &tokens[at] {
            TokenTree::Ident(ident) if ident == "use" && !is_punct(tokens.get(at + 1), '<') => {
                // `use self::a::{self, b};`
                while at < tokens.len() && !is_punct(tokens.get(at), ';') {
                    at += 1;
                }
                SelfUse::InPlace
            }
            TokenTree::Ident(ident) if ident == "move" => {
                if let Some(TokenTree::Group(block)) = tokens.get(at + 1) {
                    at += 1;
                    use_in(&flatten(block.stream()), Surrounding::Other, true)
                } else {
                    is_moving_here = true;
                    at = after_closure_parameters(tokens, at + 1);
                    continue;
                }
            }
            TokenTree::Ident(ident) if ident == "self" => {
                if is_moving_here && !is_path(tokens, at) {
                    SelfUse::Moved
                } else {
                    use_at(tokens, at, surrounding)
                }
            }
            TokenTree::Group(group) => {
                use_in(&flatten(group.stream()), surrounding_of(tokens, at), is_moving_here)
            }
            // `"{self}"`
            TokenTree::Literal(text) if text.to_string().contains("{self") => SelfUse::Borrowed,
            TokenTree::Punct(punct) if matches!(punct.as_char(), ';' | ',') => {
                is_moving_here = is_moving;
                SelfUse::InPlace
            }
            _ => SelfUse::InPlace,
        };
        greatest = greatest.max(found);
        at += 1;
    }
    greatest
}

/// Where the body of the closure `|a, b| body` at `at` begins.
fn after_closure_parameters(tokens: &[TokenTree], at: usize) -> usize {
    if !is_punct(tokens.get(at), '|') {
        return at;
    }
    let end = tokens[at + 1..].iter().position(|token| is_punct(Some(token), '|'));
    end.map_or(tokens.len(), |end| at + 1 + end + 1)
}

/// How the `self` at `at` is used.
fn use_at(tokens: &[TokenTree], at: usize, surrounding: Surrounding) -> SelfUse {
    let before = |n: usize| at.checked_sub(n).map(|at| &tokens[at]);
    let next = tokens.get(at + 1);
    if is_path(tokens, at) {
        return SelfUse::InPlace;
    }
    if is_punct(next, '.') {
        return member_use(&tokens[at + 2..]);
    }
    // `*self`, but not `a * self`.
    if is_punct(before(1), '*') && !ends_operand(before(2)) {
        return SelfUse::InPlace;
    }
    if is_punct(before(1), '&') && !ends_operand(before(2)) {
        return SelfUse::Borrowed;
    }
    // `let Self { a, b } = self;`
    let is_pattern = |group: &Group| group.delimiter() == Delimiter::Brace;
    let is_destructured = is_punct(before(1), '=')
        && matches!(before(2), Some(TokenTree::Group(group)) if is_pattern(group));
    if is_destructured && (is_punct(next, ';') || is_ident(next, "else")) {
        return SelfUse::InPlace;
    }
    let is_whole_argument = before(1).is_none_or(|token| is_punct(Some(token), ','))
        && next.is_none_or(|token| is_punct(Some(token), ','));
    match surrounding {
        Surrounding::Arguments if is_whole_argument => SelfUse::InPlace,
        Surrounding::Format => SelfUse::Borrowed,
        _ => SelfUse::Moved,
    }
}

/// `self::`
fn is_path(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens.get(at + 1), ':') && is_punct(tokens.get(at + 2), ':')
}

/// How `self` is used if `self.` comes before `tokens`.
fn member_use(tokens: &[TokenTree]) -> SelfUse {
    match tokens {
        // `self..`
        [TokenTree::Punct(_), ..] | [] => SelfUse::Moved,
        [name, ..] if is_ident(Some(name), "await") => SelfUse::Moved,
        [TokenTree::Ident(name), after, ..]
            if is_parentheses(after) || is_punct(Some(after), ':') =>
        {
            let name = name.to_string();
            // By convention these take `self` by value, and references may have them too.
            if name.starts_with("into") {
                SelfUse::Moved
            } else if METHODS_OF_REFERENCES.contains(&name.as_str()) {
                SelfUse::Borrowed
            } else {
                SelfUse::InPlace
            }
        }
        _ => SelfUse::InPlace,
    }
}

/// What the group at `at` is to the tokens in it.
fn surrounding_of(tokens: &[TokenTree], at: usize) -> Surrounding {
    let before = |n: usize| at.checked_sub(n).map(|at| &tokens[at]);
    match (before(1), before(2)) {
        (Some(TokenTree::Punct(punct)), Some(TokenTree::Ident(name))) if punct.as_char() == '!' => {
            match FORMATTING_MACROS.contains(&name.to_string().as_str()) {
                true => Surrounding::Format,
                false => Surrounding::Other,
            }
        }
        (Some(TokenTree::Ident(name)), _) if is_parentheses(&tokens[at]) => {
            let name = name.to_string();
            let is_function = name.starts_with(|c: char| c.is_lowercase() || c == '_')
                && !KEYWORDS.contains(&name.as_str())
                && !TAKE_ANY_TYPE.contains(&name.as_str());
            if is_function { Surrounding::Arguments } else { Surrounding::Other }
        }
        _ => Surrounding::Other,
    }
}

/// Whether `token` is the left operand of the operator after it.
fn ends_operand(token: Option<&TokenTree>) -> bool {
    match token {
        Some(TokenTree::Ident(ident)) => !KEYWORDS.contains(&ident.to_string().as_str()),
        Some(TokenTree::Literal(_)) => true,
        Some(TokenTree::Group(group)) => group.delimiter() != Delimiter::Brace,
        Some(TokenTree::Punct(punct)) => punct.as_char() == '?',
        None => false,
    }
}

fn is_parentheses(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis)
}

/// Keywords that may stand before parentheses or an operator.
const KEYWORDS: &[&str] = &[
    "as", "break", "else", "for", "if", "in", "let", "loop", "match", "move", "mut", "ref",
    "return", "unsafe", "where", "while", "yield", "fn",
];

/// Macros that borrow their arguments.
const FORMATTING_MACROS: &[&str] = &[
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

/// Functions that take a value of any type, and so would take the reference itself.
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

/// Methods that `&mut T` has itself if `T` has them. They borrow the reference, not what it refers
/// to.
const METHODS_OF_REFERENCES: &[&str] = &[
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
    use super::{SelfUse, self_use};

    #[track_caller]
    fn assert_all(expected: SelfUse, bodies: &[&str]) {
        for body in bodies {
            assert_eq!(self_use(body.parse().expect("tokens")), expected, "{body}");
        }
    }

    #[test]
    fn only_the_referent_is_used() {
        assert_all(
            SelfUse::InPlace,
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
    fn the_reference_may_be_borrowed() {
        assert_all(
            SelfUse::Borrowed,
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
        assert_all(
            SelfUse::Moved,
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
