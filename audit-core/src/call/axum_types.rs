//! How values of the crate `axum` are recorded, and which of its types are responses.

use std::borrow::Cow;
use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::{
    AppendHeaders, Html, IntoResponse, IntoResponseParts, NoContent, Redirect, Sse,
};
use axum::{Extension, Form, Json};

use crate::call::content::{Content, KnownType, ValueByKnownType};
use crate::call::lifecycle::Call;
use crate::call::pattern::{BindingsByTypeName, Pattern};
use crate::call::status::{CarriesStatus, KnownResponse, Response, UnknownResponse};

macro_rules! content {
    ($($wrapper:ident)*) => {$(
        impl<T> Content for $wrapper<T> {
            type Value = T;

            fn content(&self) -> &T {
                &self.0
            }
        }
    )*};
}

content! { Json Form Path Query Extension Html }

impl<T> KnownType for State<T> {}

// The state of the program is large, and may hold secrets. So only its type is recorded.
records!([T] ValueByKnownType<State<T>>, |_this, writer| writer.type_name::<T>());

impl<'v, T> Pattern<'v, State<T>> {
    /// What it binds is recorded by the name of its type.
    #[inline]
    #[must_use]
    pub fn __audited_bindings(&self) -> BindingsByTypeName {
        BindingsByTypeName
    }
}

impl CarriesStatus for Redirect {
    fn status(&self) -> Option<StatusCode> {
        Some(self.status_code())
    }
}

impl CarriesStatus for NoContent {
    fn status(&self) -> Option<StatusCode> {
        Some(StatusCode::NO_CONTENT)
    }
}

macro_rules! responses {
    ($( [$($generics:tt)*] $ty:ty ),* $(,)?) => {
        $( impl<$($generics)*> Response for $ty {} )*
    };
}

// All types for which `axum` implements `IntoResponse`, and some that are less restricted than
// there: method lookup ignores lifetimes.
responses! {
    [] (), [] str, [] String, [] Box<str>, [] Cow<'_, str>, [] Infallible,
    [T] [T], [T, const N: usize] [T; N], [] Vec<u8>, [] Box<[u8]>, [] Cow<'_, [u8]>, [] Bytes,
    [T: Response + ?Sized] &T,
    [] Body, [] HeaderMap, [] Extensions,
    [T] Json<T>, [T] Form<T>, [T] Html<T>, [T] Extension<T>, [S] Sse<S>, [I] AppendHeaders<I>,
}

macro_rules! tuples {
    ($( ($($parts:ident),+) )*) => {$(
        impl<'v, $($parts: IntoResponseParts,)* R: Response> KnownResponse<'v, ($($parts,)* R)> {
            /// The part of the value that is recorded: the body, without headers.
            #[inline]
            #[must_use]
            #[allow(non_snake_case)]
            pub fn __audited_rest(&self, _: &mut Call) -> &'v R {
                let ($($parts,)* body) = self.value;
                $( let _ = $parts; )*
                body
            }
        }
    )*};
}

tuples! { (A) (A, B) (A, B, C) (A, B, C, D) }

impl<'v, T: IntoResponse> UnknownResponse<'v, T> {
    /// The part of the value that is recorded: all of it.
    ///
    /// Such a type decides the status when it becomes a response, which consumes the value.
    #[must_use]
    pub fn __audited_rest(&self, call: &mut Call) -> &'v T {
        call.set_unknown_status();
        self.value
    }
}
