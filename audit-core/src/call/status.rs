//! Finds out the HTTP status that a return value carries, by method lookup as described in
//! [`probe`](super::probe). Without the feature `http`, no value carries one.

#[cfg(feature = "http")]
pub use responses::status;
#[cfg(feature = "axum")]
pub(super) use responses::{CarriesStatus, KnownResponse, Response, UnknownResponse};

use audit_record::Outcome;

use crate::call::lifecycle::Call;

impl Call {
    /// Notes that the returned value has a status that can't be found out.
    pub(super) fn set_unknown_status(&mut self) {
        if let Some(verdict) = self.verdict()
            && !verdict.is_tested
        {
            verdict.outcome = Outcome::Unknown;
        }
    }
}

/// A return value that carries no HTTP status.
pub struct NoStatus<'v, T: ?Sized> {
    pub(super) value: &'v T,
}

impl<'v, T: ?Sized> NoStatus<'v, T> {
    /// The part of the value that is recorded: all of it.
    #[inline]
    #[must_use]
    pub fn __audited_rest(&self, _: &mut Call) -> &'v T {
        self.value
    }
}

/// Looks up whether a return value carries an HTTP status.
#[cfg(not(feature = "http"))]
#[inline]
pub fn status<T: ?Sized>(value: &T) -> NoStatus<'_, T> {
    NoStatus { value }
}

#[cfg(feature = "http")]
mod responses {
    use audit_record::{ErrorInfo, Outcome};
    use http::StatusCode;

    use super::NoStatus;
    use crate::call::lifecycle::Call;
    use crate::in_flight::set_field;

    impl Call {
        /// Notes that the returned value, or the returned error, carries `status`.
        fn set_status(&mut self, status: StatusCode) {
            let Some(running) = self.running_mut() else { return };
            let code = status.as_u16();
            set_field(&running.shared, "http_status", |writer| writer.serialize(&code));
            let reason = status.canonical_reason().unwrap_or_default();
            let text = format!("{code} {reason}").trim_end().to_owned();
            let is_failure = code >= running.shared.recorder.http_failure_from;
            let verdict = running.verdict.get_or_insert_default();
            if is_failure && !verdict.is_tested {
                verdict.outcome = Outcome::Failure;
                verdict.error = Some(ErrorInfo::new(text.clone(), reason, Vec::new(), None));
            }
            verdict.status = Some(text);
        }
    }

    /// A type of which each value has an HTTP status.
    pub trait CarriesStatus {
        /// The status, if the value has one.
        fn status(&self) -> Option<StatusCode>;
    }

    /// A type that becomes a response of status 200.
    pub trait Response {}

    falls_back! {
        /// A value that becomes a response whose status is decided later.
        UnknownResponse => NoStatus
    }

    falls_back! {
        /// A value that becomes a response of status 200.
        KnownResponse => UnknownResponse
    }

    falls_back! {
        /// A value with a status.
        StatusInside => KnownResponse
    }

    falls_back! {
        /// A tuple that begins with a status and ends with the body.
        ReturnedStatus => StatusInside
    }

    /// Looks up whether a return value carries an HTTP status.
    #[inline]
    pub fn status<T: ?Sized>(value: &T) -> ReturnedStatus<'_, T> {
        ReturnedStatus(StatusInside(KnownResponse(UnknownResponse(NoStatus { value }))))
    }

    impl<'v, T: Response + ?Sized> KnownResponse<'v, T> {
        /// The part of the value that is recorded: all of it.
        #[inline]
        #[must_use]
        pub fn __audited_rest(&self, _: &mut Call) -> &'v T {
            self.value
        }
    }

    impl<'v, T: CarriesStatus + ?Sized> StatusInside<'v, T> {
        /// The part of the value that is recorded: all of it.
        #[inline]
        #[must_use]
        pub fn __audited_rest(&self, call: &mut Call) -> &'v T {
            if let Some(status) = self.value.status() {
                call.set_status(status);
            }
            self.value
        }
    }

    /// What a tuple may begin with, in order to set the status of the response.
    pub trait StatusFirst {
        /// That status.
        fn first_status(&self) -> StatusCode;
    }

    impl StatusFirst for StatusCode {
        fn first_status(&self) -> StatusCode {
            *self
        }
    }

    impl StatusFirst for http::response::Parts {
        fn first_status(&self) -> StatusCode {
            self.status
        }
    }

    impl StatusFirst for http::Response<()> {
        fn first_status(&self) -> StatusCode {
            self.status()
        }
    }

    macro_rules! tuples {
        ($( ($($middle:ident),*) )*) => {$(
            impl<'v, S: StatusFirst, $($middle,)* R> ReturnedStatus<'v, (S, $($middle,)* R)> {
                /// The part of the value that is recorded: the body.
                #[must_use]
                #[allow(non_snake_case)]
                pub fn __audited_rest(&self, call: &mut Call) -> &'v R {
                    let (status, $($middle,)* body) = self.value;
                    $( let _ = $middle; )*
                    call.set_status(status.first_status());
                    body
                }
            }

            impl<F, $($middle,)* R: CarriesStatus> CarriesStatus for (F, $($middle,)* R) {
                #[allow(non_snake_case)]
                fn status(&self) -> Option<StatusCode> {
                    let (_, $($middle,)* last) = self;
                    $( let _ = $middle; )*
                    last.status()
                }
            }
        )*};
    }

    // As many elements as any handler has; `axum` accepts up to 17.
    tuples! { () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, G) }

    impl CarriesStatus for StatusCode {
        fn status(&self) -> Option<StatusCode> {
            Some(*self)
        }
    }

    impl<B> CarriesStatus for http::Response<B> {
        fn status(&self) -> Option<StatusCode> {
            Some(self.status())
        }
    }

    impl CarriesStatus for http::response::Parts {
        fn status(&self) -> Option<StatusCode> {
            Some(self.status)
        }
    }

    impl<R: CarriesStatus> CarriesStatus for Option<R> {
        fn status(&self) -> Option<StatusCode> {
            self.as_ref().and_then(CarriesStatus::status)
        }
    }

    impl<R: CarriesStatus + ?Sized> CarriesStatus for Box<R> {
        fn status(&self) -> Option<StatusCode> {
            (**self).status()
        }
    }

    impl<R: CarriesStatus + ?Sized> CarriesStatus for &R {
        fn status(&self) -> Option<StatusCode> {
            (**self).status()
        }
    }
}
