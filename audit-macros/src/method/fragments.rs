//! Keeps the meaning of what a `macro_rules!` has passed into a body.
//!
//! A fragment such as `$sum` arrives in an invisible group. The compiler ignores that group when it
//! reads the output of an attribute, so `$sum * 2` would become `a + b * 2`. Visible parentheses
//! prevent that.

use proc_macro2::{Delimiter, Group, Punct, Spacing, Span, TokenStream, TokenTree};
use syn::{Expr, UnOp};

use crate::tokens::{is_ident, is_punct, with_content};

/// Input:  `$sum * 2`, where `$sum` is `a + b`
///
/// Output: `(a + b) * 2`
///
/// The braces of blocks are kept, too.
pub(crate) fn with_visible_fragments(tokens: TokenStream) -> TokenStream {
    if !has_invisible_group(tokens.clone()) {
        return tokens;
    }
    keep_braces_of_last_block(visible(tokens))
}

fn visible(tokens: TokenStream) -> TokenStream {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let visible = trees.iter().enumerate().map(|(at, tree)| {
        let TokenTree::Group(group) = tree else { return tree.clone() };
        let content = visible(group.stream());
        match group.delimiter() {
            Delimiter::None if needs_parentheses(&trees, at, &content) => {
                let mut parentheses = Group::new(Delimiter::Parenthesis, content);
                parentheses.set_span(Span::mixed_site().located_at(group.span()));
                parentheses.into()
            }
            Delimiter::Brace => with_content(group, keep_braces_of_last_block(content)),
            _ => with_content(group, content),
        }
    });
    visible.collect()
}

/// Input:  `statements $block`
///
/// Output: `statements { ; … }`
///
/// A `$block` of `macro_rules!` at the end of a body arrives in a group without delimiters. The
/// compiler drops that group when it reads the output of a macro, and would then warn of needless
/// braces.
fn keep_braces_of_last_block(statements: TokenStream) -> TokenStream {
    let mut trees: Vec<TokenTree> = statements.into_iter().collect();
    if let Some(TokenTree::Group(last)) = trees.last()
        && last.delimiter() == Delimiter::None
        && let [block] = &last.stream().into_iter().collect::<Vec<_>>()[..]
    {
        let last = with_content(last, with_empty_statement(block).into());
        trees.pop();
        trees.push(last);
    }
    trees.into_iter().collect()
}

/// Input:  `{ body }`
///
/// Output: `{ ; body }`, a block of more than one statement, so that no lint calls its braces
/// needless.
pub(crate) fn with_empty_statement(block: &TokenTree) -> TokenTree {
    let TokenTree::Group(group) = block else { return block.clone() };
    if group.delimiter() != Delimiter::Brace {
        return block.clone();
    }
    let mut semicolon = Punct::new(';', Spacing::Alone);
    semicolon.set_span(Span::mixed_site());
    with_content(group, std::iter::once(semicolon.into()).chain(group.stream()).collect())
}

fn has_invisible_group(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Group(group) => {
            group.delimiter() == Delimiter::None || has_invisible_group(group.stream())
        }
        _ => false,
    })
}

/// Whether `content`, which is in the group at `at`, is an operation that the tokens beside it
/// could take apart.
fn needs_parentheses(trees: &[TokenTree], at: usize, content: &TokenStream) -> bool {
    let is_before = at > 0 && is_operator(trees, at - 1);
    let is_after = match trees.get(at + 1) {
        Some(TokenTree::Group(next)) => {
            matches!(next.delimiter(), Delimiter::Parenthesis | Delimiter::Bracket)
        }
        Some(TokenTree::Punct(_)) => is_operator(trees, at + 1),
        next => is_ident(next, "as"),
    };
    if !is_before && !is_after {
        return false;
    }
    match syn::parse2(content.clone()) {
        // `-1` may stand where parentheses may not, such as in `Array<-1>`.
        Ok(Expr::Unary(unary))
            if matches!(unary.op, UnOp::Neg(_)) && matches!(*unary.expr, Expr::Lit(_)) =>
        {
            is_after && !is_punct(trees.get(at + 1), '>')
        }
        Ok(expr) => matches!(
            expr,
            Expr::Binary(_)
                | Expr::Cast(_)
                | Expr::Closure(_)
                | Expr::Range(_)
                | Expr::Reference(_)
                | Expr::Unary(_)
        ),
        Err(_) => false,
    }
}

/// Whether the token at `at` is a part of an operator. `=`, `=>` and `->` are none, because they
/// take everything beside them.
fn is_operator(trees: &[TokenTree], at: usize) -> bool {
    let is_joint = |at: usize| matches!(trees.get(at), Some(TokenTree::Punct(punct)) if punct.spacing() == Spacing::Joint);
    let follows = |c: char| at > 0 && is_joint(at - 1) && is_punct(trees.get(at - 1), c);
    let Some(TokenTree::Punct(punct)) = trees.get(at) else { return false };
    match punct.as_char() {
        ';' | ',' | ':' | '#' | '$' | '\'' => false,
        // `==`, `!=`, `<=`, `>=`
        '=' if follows('=') || follows('!') || follows('<') || follows('>') => true,
        '=' => is_joint(at) && is_punct(trees.get(at + 1), '='),
        '>' => !follows('=') && !follows('-'),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
    use quote::quote;

    use super::with_visible_fragments;

    fn fragment(tokens: TokenStream) -> TokenTree {
        Group::new(Delimiter::None, tokens).into()
    }

    #[test]
    fn an_operation_stays_one_operand() {
        let (sum, minus) = (fragment(quote!(a + b)), fragment(quote!(-1)));
        let (reference, closure) = (fragment(quote!(&a)), fragment(quote!(|x| x)));
        for (body, visible) in [
            (quote!(#sum * 2), quote!((a + b) * 2)),
            (quote!(2 - #sum), quote!(2 - (a + b))),
            (quote!({ f(!#sum) }), quote!({ f(!(a + b)) })),
            (quote!(#sum as u8), quote!((a + b) as u8)),
            (quote!(#sum.abs()), quote!((a + b).abs())),
            (quote!(x == #sum), quote!(x == (a + b))),
            (quote!(#sum == x), quote!((a + b) == x)),
            (quote!(#minus.abs()), quote!((-1).abs())),
            (quote!(#reference[0]), quote!((&a)[0])),
            (quote!(#closure(1)), quote!((|x| x)(1))),
        ] {
            assert_eq!(with_visible_fragments(body).to_string(), visible.to_string());
        }
    }

    #[test]
    fn all_else_stays_as_it_is() {
        let (sum, minus) = (fragment(quote!(a + b)), fragment(quote!(-1)));
        let (name, ty) = (fragment(quote!(a)), fragment(quote!(Vec<u8>)));
        for body in [
            quote!(let x = #sum; f(#sum, #sum); return #sum),
            quote!(if #sum { #sum } else { #sum }),
            quote!(match x { 1 => #sum, _ => f(|| -> u8 { #sum }) }),
            quote!(Array::<#minus>::new()),
            quote!(#name * #name.len() as #ty),
        ] {
            assert_eq!(with_visible_fragments(body.clone()).to_string(), body.to_string());
        }
    }
}
