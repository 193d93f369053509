//! Writes the tokens of an audited function.
//!
//! The expansion holds no logic: it contains a static call site and calls into
//! `::audited::__private`. All its names have mixed-site hygiene, so user code can neither see nor
//! shadow them.

use proc_macro2::{Delimiter, Group, TokenStream};
use quote::quote;

use self::expansion::Expansion;
use super::model::Function;
use super::validate::CheckedArgs;

mod async_fn;
mod body;
mod call;
mod capture;
mod expansion;
mod in_place;
mod pattern;
mod refuse;
mod sync;
mod watch;
mod watch_plan;

/// Input:  `#[attr] pub fn f(a: A) -> R { body }`
///
/// Output: `#[attr] pub fn f(a: A) -> R { begin the call; run the body; end the call }`
pub(crate) fn expand_function(args: &CheckedArgs, function: &Function) -> TokenStream {
    let expansion = Expansion::new(args, function);
    let (sig, block) = if function.is_async() {
        async_fn::expand_async(&expansion)
    } else if expansion.is_in_place() {
        in_place::expand_in_place(&expansion)
    } else {
        sync::expand_sync(&expansion)
    };
    let Function { attrs, vis, defaultness, body, .. } = function;
    // By the place of the braces the compiler decides whether a macro wrote the function: it does
    // not report such a function as unused.
    let mut block = Group::new(Delimiter::Brace, block);
    block.set_span(body.span());
    quote!(#(#attrs)* #vis #defaultness #sig #block)
}
