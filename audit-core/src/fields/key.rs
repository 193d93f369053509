//! [`ObjectKey`]: which object of a type.

use std::borrow::Cow;
use std::fmt::Display;

use uuid::Uuid;

use crate::capture;
use crate::fields::{AuditedFields, TypeInfo};

/// Bytes of one part of a key; of a longer one, the rest is cut off.
const PART: usize = 1_024;

/// The key of an object: a number, a text or a UUID, or a tuple of them for a key of several fields.
///
/// ```
/// use audited::ObjectKey;
///
/// assert_eq!(ObjectKey::from(340).id(), "340");
/// assert_eq!(ObjectKey::from("a/b").id(), "a/b");
/// // The parts of a longer key can't be mixed up.
/// assert_eq!(ObjectKey::from(("a/b", 7)).id(), "a%2Fb/7");
/// assert_eq!(ObjectKey::new(std::net::Ipv4Addr::LOCALHOST).id(), "127.0.0.1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectKey(Vec<String>);

impl ObjectKey {
    /// A key of any type that has a text; for the usual types there is `From`.
    pub fn new(key: impl Display) -> Self {
        Self(vec![part(&key)])
    }

    /// The key as it is recorded in `target_id`.
    #[must_use]
    pub fn id(&self) -> String {
        target_id(&self.0)
    }

    /// How many parts it has.
    pub(crate) fn parts(&self) -> usize {
        self.0.len()
    }

    /// The key as it stands in the ids of the objects below.
    pub(crate) fn among_others(&self) -> String {
        self.0.iter().map(|part| escaped(part)).collect::<Vec<_>>().join("/")
    }
}

macro_rules! keys {
    ($($ty:ty),*) => {$(
        impl From<$ty> for ObjectKey {
            fn from(key: $ty) -> Self {
                Self::new(key)
            }
        }
    )*};
}

keys!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, char, bool, Uuid);
keys!(&str, String, &String, Cow<'_, str>);

macro_rules! copied_keys {
    ($($ty:ty),*) => {$(
        impl From<&$ty> for ObjectKey {
            fn from(key: &$ty) -> Self {
                Self::new(key)
            }
        }
    )*};
}

copied_keys!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, char, bool, Uuid);

macro_rules! tuples {
    ($(($($name:ident),*))*) => {$(
        impl<$($name: Into<ObjectKey>),*> From<($($name,)*)> for ObjectKey {
            fn from(key: ($($name,)*)) -> Self {
                #[allow(non_snake_case)]
                let ($($name,)*) = key;
                let mut parts = Vec::new();
                $( parts.extend($name.into().0); )*
                Self(parts)
            }
        }
    )*};
}

tuples!((A)(A, B)(A, B, C)(A, B, C, D));

/// Joins the parts of a key: one is taken as it is; of several, each is escaped so that they can't be mixed
/// up.
#[must_use]
pub fn target_id(parts: &[String]) -> String {
    if let [only] = parts {
        return only.clone();
    }
    let mut id = String::new();
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            id.push('/');
        }
        id.push_str(&escaped(part));
    }
    id
}

/// A part of a key as it stands among others.
fn escaped(part: &str) -> Cow<'_, str> {
    if part.contains(['/', '%']) {
        part.replace('%', "%25").replace('/', "%2F").into()
    } else {
        part.into()
    }
}

/// The path of a type whose objects belong to those of `P`; then what it was while a type on the way had a former name.
#[must_use]
pub fn child_path<P: AuditedFields>(child: &TypeInfo) -> Vec<String> {
    let parents = P::type_paths();
    let paths =
        parents.iter().flat_map(|parent| child.names().map(move |name| format!("{parent}/{name}")));
    paths.collect()
}

/// What `Display` says; one that panics gives a mark.
pub(crate) fn part(key: &dyn Display) -> String {
    capture::format_limited(PART, format_args!("{key}")).text
}
