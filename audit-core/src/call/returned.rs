//! [`Returned`]: the return types that [`execute`](super::direct::execute) can record.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::call::lifecycle::Call;
use crate::call::{content, error};

/// A return type that [`execute`](crate::execute) can record.
///
/// A generic function cannot find out what its type parameter implements, so the types are listed:
///
/// - types of the standard library that hold plain values, and `serde_json::Value`;
/// - [`Recorded`], which wraps any type that is `Serialize`;
/// - `Result<T, E>` where `T` is `Serialize`. `E` is a `std::error::Error`, a boxed one, text, or
///   the error of `anyhow` or `eyre` (with the feature of that name).
///
/// `Way` is inferred. It only keeps these implementations apart.
#[diagnostic::on_unimplemented(
    message = "`execute` cannot record a value of type `{Self}`",
    note = "return a `Result`, wrap the value as `audited::call::Recorded(value)`, or use the macro \
            `audited::execute!`, which accepts any type"
)]
pub trait Returned<Way> {
    /// Records this value as the return value of `call`.
    #[doc(hidden)]
    fn record(&self, call: &mut Call);
}

/// Wraps a return value of any type that is `Serialize`, for [`execute`](crate::execute).
///
/// ```
/// use audited::call::Recorded;
/// use audited::{execute, testing};
///
/// #[derive(serde::Serialize)]
/// struct Report { rows: u32 }
///
/// let records = testing::capture(|| {
///     let Recorded(report) =
///         execute("count", "report::count", (), || Recorded(Report { rows: 7 }));
///     assert_eq!(report.rows, 7);
/// });
/// assert_eq!(records[0].output.as_ref().unwrap().as_str(), r#"{"rows":7}"#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded<T>(pub T);

impl<T: Serialize> Returned<ways::Value> for Recorded<T> {
    fn record(&self, call: &mut Call) {
        content::any_content(&self.0).__audited_record_output(call);
    }
}

/// The values of the parameter `Way` of [`Returned`].
pub(super) mod ways {
    /// A value that is not a `Result`.
    pub enum Value {}
    /// A `Result` whose error is `std::error::Error`.
    pub enum Error {}
    /// A `Result` with one of the other error types.
    pub enum Listed {}
}

impl<T: Serialize, E: std::error::Error> Returned<ways::Error> for Result<T, E> {
    fn record(&self, call: &mut Call) {
        match self {
            Ok(value) => content::any_content(value).__audited_record_output(call),
            Err(error) => error::error(error).__audited_record_error(call),
        }
    }
}

macro_rules! listed_errors {
    ($( $(#[$meta:meta])* $ty:ty ),* $(,)?) => {$(
        $(#[$meta])*
        impl<T: Serialize> Returned<ways::Listed> for Result<T, $ty> {
            fn record(&self, call: &mut Call) {
                match self {
                    Ok(value) => content::any_content(value).__audited_record_output(call),
                    Err(error) => error::error(error).__audited_record_error(call),
                }
            }
        }
    )*};
}

type Boxed = Box<dyn std::error::Error>;
type BoxedSend = Box<dyn std::error::Error + Send>;
type BoxedSync = Box<dyn std::error::Error + Send + Sync>;

listed_errors! {
    String, &str, Cow<'_, str>, Boxed, BoxedSend, BoxedSync,
    #[cfg(feature = "anyhow")] anyhow::Error,
    #[cfg(feature = "eyre")] eyre::Report,
}

macro_rules! returned {
    ($( ($($generics:tt)*) $ty:ty ),* $(,)?) => {$(
        impl<$($generics)*> Returned<ways::Value> for $ty {
            fn record(&self, call: &mut Call) {
                content::any_content(self).__audited_record_output(call);
            }
        }
    )*};
}

returned! {
    () (), () bool, () char, () str, () String, () f32, () f64,
    () i8, () i16, () i32, () i64, () i128, () isize, () u8, () u16, () u32, () u64, () u128, () usize,
    () Duration, () IpAddr, () PathBuf, () audit_record::Json, () uuid::Uuid,
    (T: Serialize) Option<T>, (T: Serialize) Vec<T>, (T: Serialize) VecDeque<T>, (T: Serialize) [T],
    (T: Serialize) BTreeSet<T>, (T: Serialize, S) HashSet<T, S>,
    (K: Serialize, V: Serialize) BTreeMap<K, V>, (K: Serialize, V: Serialize, S) HashMap<K, V, S>,
    (T: Serialize + ?Sized) Box<T>, (T: Serialize + ?Sized) Rc<T>, (T: Serialize + ?Sized) Arc<T>,
    (T: Serialize + ?Sized) &T, ('a, T: Serialize + ToOwned + ?Sized) Cow<'a, T>,
    (A: Serialize) (A,), (A: Serialize, B: Serialize) (A, B),
    (A: Serialize, B: Serialize, C: Serialize) (A, B, C),
    (A: Serialize, B: Serialize, C: Serialize, D: Serialize) (A, B, C, D),
}

#[cfg(feature = "serde_json")]
returned! { () serde_json::Value }
