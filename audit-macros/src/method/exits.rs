//! Rejects expressions of the attribute that would leave or suspend the function.
//!
//! The expressions are evaluated only while the call is recorded. So `?` in one of them would make
//! the result of the function depend on whether a recorder is active.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{ExprAsync, ExprAwait, ExprClosure, ExprReturn, ExprTry, Item};

use super::args::MethodArgs;
use crate::errors::Errors;

/// Checks the expressions in `target`, `reason` and `fields`. What a macro contains can't be seen.
pub(crate) fn check(args: &MethodArgs, errors: &mut Errors) {
    let named = |name: &'static str| move |value| (name, value);
    let target = args.target.iter().map(named("target"));
    let reason = args.reason.iter().map(named("reason"));
    let fields = args.fields.iter().map(|field| ("fields", &field.value));
    for (argument, expr) in target.chain(reason).chain(fields) {
        ExitFinder { argument, errors }.visit_expr_mut(&mut expr.clone());
    }
}

struct ExitFinder<'e> {
    argument: &'static str,
    errors: &'e mut Errors,
}

impl ExitFinder<'_> {
    fn reject(&mut self, span: Span, what: &str) {
        let argument = self.argument;
        self.errors.push(
            span,
            format!(
                "{what} is not possible in `{argument}`, because the expression is evaluated only \
                 while the call is recorded: evaluate it in the body, and record the value with \
                 `audited::target`, `audited::reason` or `audited::field`"
            ),
        );
    }
}

impl VisitMut for ExitFinder<'_> {
    fn visit_expr_return_mut(&mut self, node: &mut ExprReturn) {
        self.reject(node.return_token.span, "`return`");
    }

    fn visit_expr_try_mut(&mut self, node: &mut ExprTry) {
        self.reject(node.question_token.span(), "`?`");
    }

    fn visit_expr_await_mut(&mut self, node: &mut ExprAwait) {
        self.reject(node.await_token.span, "`.await`");
    }

    // These leave or suspend a closure, an async block or an inner function, not the function.
    fn visit_expr_closure_mut(&mut self, _: &mut ExprClosure) {}
    fn visit_expr_async_mut(&mut self, _: &mut ExprAsync) {}
    fn visit_item_mut(&mut self, _: &mut Item) {}
}
