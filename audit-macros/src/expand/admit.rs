//! The end of the input: the body follows, if the call is admitted.

use std::borrow::Cow;

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::ReturnType;
use syn::spanned::Spanned;

use super::{Parts, local};
use crate::refusal;
use crate::returns::Returns;

impl Parts<'_> {
    /// Output: `input.done();`, or what refuses the call.
    pub(super) fn done(&self) -> TokenStream {
        let input = &self.input;
        if !self.plan.refuses() {
            return quote!(#input.done(););
        }
        if self.is_in_place() || self.future_block_refuses() {
            return TokenStream::new();
        }
        self.refuse_by(|refused| quote!(return #refused;))
    }

    /// Output:
    /// ```text
    /// if let Err(refused) = input.admit(|| ()) { return <R as FromRefused>::from_refused(refused); }
    /// ```
    /// and for an `async fn`, `input.admit_async(|| ()).await`. `leave` says how the function is left with a value.
    pub(super) fn refuse_by(&self, leave: impl Fn(TokenStream) -> TokenStream) -> TokenStream {
        let Self { private, input, returns, function, .. } = self;
        let refused = local("__audited_refused");
        let value = match returns.annotation() {
            Some(ty) => {
                // What is wrong with the type is told where it stands.
                let span = Span::mixed_site().located_at(ty.span());
                quote_spanned!(span=> <#ty as #private::FromRefused>::from_refused(#refused))
            }
            None => quote!(#private::from_refused(#refused)),
        };
        let leave = leave(value);
        let admission = if function.is_async() {
            quote!(#input.admit_async(|| ()).await)
        } else {
            quote!(#input.admit(|| ()))
        };
        quote!(if let #private::Err(#refused) = #admission { #leave })
    }

    /// Whether the body stays where it is, under a guard.
    pub(super) fn is_in_place(&self) -> bool {
        !self.function.is_async()
            && (self.function.is_track_caller() || matches!(self.returns, Returns::Opaque))
    }

    /// Whether the call of a function that returns a future is refused when that is polled.
    fn future_block_refuses(&self) -> bool {
        self.plan.refuses()
            && !self.function.is_async()
            && (matches!(self.returns, Returns::Future { .. })
                || self.returns.may_be_boxed_future())
            && refusal::lone_async_block(&self.function.body).is_some()
    }

    /// The body, with what refuses the call in its future where that is where it runs.
    ///
    /// Output: `Box::pin(async move { if let Err(refused) = input.admit_async(|| ()).await { … } … })`
    pub(super) fn body_as_it_runs(&self) -> Cow<'_, TokenTree> {
        if !self.future_block_refuses() {
            return Cow::Borrowed(&self.function.body);
        }
        let (private, input, refused) = (&self.private, &self.input, local("__audited_refused"));
        // What is wrong with the type is told where it stands.
        let value = match &self.function.sig.output {
            ReturnType::Type(_, ty) => {
                located_at(ty.span(), quote!(#private::from_refused(#refused)))
            }
            ReturnType::Default => quote!(#private::from_refused(#refused)),
        };
        let first = quote! {
            if let #private::Err(#refused) = #input.admit_async(|| ()).await {
                return #value;
            }
        };
        Cow::Owned(refusal::within_async_block(&self.function.body, &first))
    }
}

/// The tokens as they are, but at another place: that of what is wrong, if anything is.
fn located_at(place: Span, tokens: TokenStream) -> TokenStream {
    let relocate = |mut tree: TokenTree| {
        if let TokenTree::Group(group) = &tree {
            let inner = located_at(place, group.stream());
            tree = Group::new(group.delimiter(), inner).into();
        }
        tree.set_span(tree.span().located_at(place));
        tree
    };
    tokens.into_iter().map(relocate).collect()
}
