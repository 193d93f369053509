//! [`CompareParts`], and its implementations for types of the standard library, `chrono` and
//! `uuid`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, Hash};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use audit_record::Json;
use chrono::{DateTime, Month, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Weekday};
use serde::Serialize;
use uuid::Uuid;

use crate::capture::Redacted;
use crate::value::RecordedParts;

/// A type whose parts are compared by their own `==` when a field of it has changed.
///
/// If an audited field changes, its recorded form (what `Serialize` writes) says which parts of it
/// differ. Equal values can have different forms: `08:00Z` and `09:00+01:00` are the same time, and
/// `1.0` and `1.00` the same decimal. For a type with this trait, a part whose values are equal by
/// the part's own `==` is no change, whatever its form is.
///
/// `#[derive(CompareParts)]` implements the trait for a struct or an enum that derives `Serialize`.
/// `#[audited_fields]` implements it for its struct. It is implemented for types of the standard
/// library, also for options, lists, maps, tuples and pointers of types with this trait, and for
/// types of `chrono` and `uuid`.
///
/// ```
/// use audited::{CompareParts, Tracked, audited_fields, testing};
/// use serde::Serialize;
///
/// /// A length. One metre equals 100 centimetres.
/// #[derive(Clone, Serialize)]
/// struct Length { number: u32, unit: &'static str }
///
/// impl Length {
///     fn centimetres(&self) -> u32 {
///         self.number * if self.unit == "m" { 100 } else { 1 }
///     }
/// }
///
/// impl PartialEq for Length {
///     fn eq(&self, other: &Self) -> bool {
///         self.centimetres() == other.centimetres()
///     }
/// }
///
/// #[derive(Clone, PartialEq, Serialize, CompareParts)]
/// struct Size { width: Length, height: Length }
///
/// #[audited_fields(sizes; key = id)]
/// struct Door { id: u64, sizes: Vec<Size> }
///
/// let length = |number, unit| Length { number, unit };
/// let records = testing::capture(|| {
///     let size = Size { width: length(1, "m"), height: length(2, "m") };
///     let mut door = Tracked::loaded(Door { id: 7, sizes: vec![size] });
///     door.sizes[0] = Size { width: length(100, "cm"), height: length(210, "cm") };
///     door.save(|_| Ok::<(), String>(())).unwrap();
/// });
/// let fields: Vec<&str> = records[0].changes.iter().map(|change| &*change.field).collect();
/// assert_eq!(fields, ["sizes[0].height.number", "sizes[0].height.unit"]);
/// ```
///
/// # Derive
///
/// The derive reads `#[serde(…)]`, so it knows under which key a field is serialised. Each field is
/// compared by `CompareParts`, or else by `PartialEq`; a field with neither is compared by its
/// recorded form. A field with `#[serde(with)]` or `#[serde(serialize_with)]` is compared as a
/// whole. Do not derive the trait for a type whose own `impl Serialize` writes its fields under
/// other names or in another order.
///
/// `#[compare(set)]` on a field declares a list whose order has no meaning: elements are added and
/// removed, never moved. It is needed only where the type does not say so: a `HashSet` or
/// `BTreeSet` is a set under any `#[serde(…)]` attribute.
///
/// ```
/// use std::collections::HashSet;
///
/// use audited::CompareParts;
/// use serde::Serialize;
///
/// #[derive(Clone, PartialEq, Serialize, CompareParts)]
/// struct Access {
///     roles: HashSet<String>,
///     #[compare(set)]
///     hosts: Vec<String>,
/// }
/// ```
///
/// A type of another crate inside a list, a map or a tuple needs a newtype:
/// `#[derive(Clone, PartialEq, Serialize, CompareParts)] struct Price(Decimal)`. As a field or as
/// an `Option`, it is compared by its own `==` without one.
#[diagnostic::on_unimplemented(
    message = "the parts of `{Self}` cannot be compared by their own `==`",
    note = "derive `CompareParts` for the type"
)]
pub trait CompareParts {
    /// Whether the value is equal to `before` by the type's own `==`. `false` if the type has none.
    #[doc(hidden)]
    fn is_same(&self, before: &Self) -> bool;

    /// Whether a value has parts that can be equal while others are not.
    #[doc(hidden)]
    #[must_use]
    fn has_parts() -> bool {
        true
    }

    /// Whether a list that is made of the value has no order.
    #[doc(hidden)]
    #[must_use]
    fn has_no_order() -> bool {
        false
    }

    /// Compares the parts of two values that are not the same. Makes the recorded forms equal where
    /// the values are.
    #[doc(hidden)]
    fn compare_parts(&self, before: &Self, recorded: &mut RecordedParts<'_>);
}

/// Compares two parts, unless their recorded forms are equal anyway.
pub(crate) fn compare<T: ?Sized + CompareParts>(
    after: &T,
    before: &T,
    recorded: Option<RecordedParts<'_>>,
) {
    let Some(mut recorded) = recorded else { return };
    if recorded.differ() {
        compare_different(after, before, &mut recorded);
    }
}

fn compare_different<T: ?Sized + CompareParts>(
    after: &T,
    before: &T,
    recorded: &mut RecordedParts<'_>,
) {
    match after.is_same(before) {
        true => recorded.equalise(),
        false => after.compare_parts(before, recorded),
    }
}

/// Types without parts.
macro_rules! scalars {
    ($($(#[$meta:meta])* [$($generics:tt)*] $ty:ty;)*) => {$(
        $(#[$meta])*
        impl<$($generics)*> CompareParts for $ty {
            #[inline]
            fn is_same(&self, before: &Self) -> bool {
                self == before
            }

            fn has_parts() -> bool {
                false
            }

            fn compare_parts(&self, _: &Self, _: &mut RecordedParts<'_>) {}
        }
    )*};
}

scalars! {
    [] bool; [] char; [] str; [] String; [] ();
    [] i8; [] i16; [] i32; [] i64; [] i128; [] isize;
    [] u8; [] u16; [] u32; [] u64; [] u128; [] usize;
    [] f32; [] f64;
    [] Duration; [] SystemTime; [] Path; [] PathBuf; [] OsStr; [] OsString;
    [] IpAddr; [] Ipv4Addr; [] Ipv6Addr; [] SocketAddr; [] SocketAddrV4; [] SocketAddrV6;
    [] NaiveDate; [] NaiveTime; [] NaiveDateTime; [] TimeDelta; [] Month; [] Weekday;
    [Tz: TimeZone] DateTime<Tz>;
    [] Uuid; [] Json;
    [T: PartialEq] Redacted<T>;
    #[cfg(feature = "serde_json")]
    [] serde_json::Value;
}

/// Types that are recorded as the value that they point to.
macro_rules! pointers {
    ($([$($generics:tt)*] $ty:ty;)*) => {$(
        impl<$($generics)*> CompareParts for $ty {
            #[inline]
            fn is_same(&self, before: &Self) -> bool {
                (**self).is_same(before)
            }

            fn has_no_order() -> bool {
                T::has_no_order()
            }

            fn compare_parts(&self, before: &Self, recorded: &mut RecordedParts<'_>) {
                (**self).compare_parts(before, recorded);
            }
        }
    )*};
}

pointers! {
    [T: ?Sized + CompareParts] &T;
    [T: ?Sized + CompareParts] &mut T;
    [T: ?Sized + CompareParts] Box<T>;
    [T: ?Sized + CompareParts] Rc<T>;
    [T: ?Sized + CompareParts] Arc<T>;
    [T: ?Sized + CompareParts + ToOwned] Cow<'_, T>;
}

impl<T: CompareParts> CompareParts for Option<T> {
    #[inline]
    fn is_same(&self, before: &Self) -> bool {
        match (self, before) {
            (None, None) => true,
            (Some(after), Some(before)) => after.is_same(before),
            _ => false,
        }
    }

    fn has_no_order() -> bool {
        T::has_no_order()
    }

    fn compare_parts(&self, before: &Self, recorded: &mut RecordedParts<'_>) {
        if let (Some(after), Some(before)) = (self, before) {
            after.compare_parts(before, recorded);
        }
    }
}

impl<T: CompareParts, E: CompareParts> CompareParts for Result<T, E> {
    fn is_same(&self, before: &Self) -> bool {
        match (self, before) {
            (Ok(after), Ok(before)) => after.is_same(before),
            (Err(after), Err(before)) => after.is_same(before),
            _ => false,
        }
    }

    fn compare_parts(&self, before: &Self, recorded: &mut RecordedParts<'_>) {
        match (self, before) {
            (Ok(after), Ok(before)) => compare(after, before, recorded.variant()),
            (Err(after), Err(before)) => compare(after, before, recorded.variant()),
            _ => {}
        }
    }
}

impl<T: CompareParts> CompareParts for [T] {
    #[inline]
    fn is_same(&self, before: &Self) -> bool {
        self.len() == before.len() && self.iter().zip(before).all(|(a, b)| a.is_same(b))
    }

    fn compare_parts(&self, before: &Self, recorded: &mut RecordedParts<'_>) {
        let are_same = |before: &T, after: &T| after.is_same(before);
        recorded.compare_lists(before, self, are_same, |before, after, parts| {
            compare_different(after, before, parts);
        });
    }
}

impl<T: CompareParts> CompareParts for Vec<T> {
    #[inline]
    fn is_same(&self, before: &Self) -> bool {
        (**self).is_same(before)
    }

    fn compare_parts(&self, before: &Self, recorded: &mut RecordedParts<'_>) {
        (**self).compare_parts(before, recorded);
    }
}

impl<T: CompareParts, const N: usize> CompareParts for [T; N] {
    #[inline]
    fn is_same(&self, before: &Self) -> bool {
        self[..].is_same(before)
    }

    fn compare_parts(&self, before: &Self, recorded: &mut RecordedParts<'_>) {
        self[..].compare_parts(before, recorded);
    }
}

impl<T: CompareParts> CompareParts for VecDeque<T> {
    fn is_same(&self, before: &Self) -> bool {
        self.len() == before.len() && self.iter().zip(before).all(|(a, b)| a.is_same(b))
    }

    fn compare_parts(&self, before: &Self, recorded: &mut RecordedParts<'_>) {
        let (after, before): (Vec<&T>, Vec<&T>) = (self.iter().collect(), before.iter().collect());
        after.compare_parts(&before, recorded);
    }
}

macro_rules! maps {
    ($([$($generics:tt)*] $ty:ty, has_no_order: $has_no_order:literal;)*) => {$(
        impl<$($generics)*> CompareParts for $ty {
            fn has_no_order() -> bool {
                $has_no_order
            }

            fn is_same(&self, before: &Self) -> bool {
                let is_same = |(key, after): (&K, &V)| {
                    before.get(key).is_some_and(|before| after.is_same(before))
                };
                self.len() == before.len() && self.iter().all(is_same)
            }

            fn compare_parts(&self, before: &Self, recorded: &mut RecordedParts<'_>) {
                let both = |(key, after)| Some((key, before.get(key)?, after));
                recorded.compare_maps(self.iter().filter_map(both), |before, after, parts| {
                    compare_different(after, before, parts);
                });
            }
        }
    )*};
}

maps! {
    [K: Eq + Hash + Serialize, V: CompareParts, S: BuildHasher] HashMap<K, V, S>,
        has_no_order: true;
    [K: Ord + Serialize, V: CompareParts] BTreeMap<K, V>, has_no_order: false;
}

macro_rules! sets {
    ($([$($generics:tt)*] $ty:ty;)*) => {$(
        impl<$($generics)*> CompareParts for $ty {
            fn is_same(&self, before: &Self) -> bool {
                self == before
            }

            fn has_no_order() -> bool {
                true
            }

            fn compare_parts(&self, _: &Self, recorded: &mut RecordedParts<'_>) {
                recorded.whole().into_iter().for_each(RecordedParts::into_sets);
            }
        }
    )*};
}

sets! {
    [T: Eq + Hash, S: BuildHasher] HashSet<T, S>;
    [T: Ord] BTreeSet<T>;
}

macro_rules! tuples {
    ($($len:literal: $($index:tt $ty:ident),+;)*) => {$(
        impl<$($ty: CompareParts),+> CompareParts for ($($ty,)+) {
            fn is_same(&self, before: &Self) -> bool {
                $( self.$index.is_same(&before.$index) )&&+
            }

            fn compare_parts(&self, before: &Self, recorded: &mut RecordedParts<'_>) {
                $( compare(&self.$index, &before.$index, recorded.element($index, $len)); )+
            }
        }
    )*};
}

tuples! {
    1: 0 A;
    2: 0 A, 1 B;
    3: 0 A, 1 B, 2 C;
    4: 0 A, 1 B, 2 C, 3 D;
    5: 0 A, 1 B, 2 C, 3 D, 4 E;
    6: 0 A, 1 B, 2 C, 3 D, 4 E, 5 F;
    7: 0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G;
    8: 0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H;
}
