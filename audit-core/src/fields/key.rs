//! [`ObjectKey`], and how the key of an object becomes the text of its id.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::Deref;

use serde::Serialize;
use uuid::Uuid;

use crate::capture::{self, Mask, Rules};
use crate::fields::{AuditedFields, TypeInfo};
use crate::value::Tree;

/// The key of an object, which identifies it among the objects of its type.
///
/// Functions that expect a key take `impl Into<ObjectKey>`. That is a number, a string or a UUID.
/// For a key of several fields, it is a tuple of these.
///
/// ```
/// use audited::fields::ObjectKey;
///
/// assert_eq!(ObjectKey::from(340).id(), "340");
/// assert_eq!(ObjectKey::from("a/b").id(), "a/b");
/// // The parts of a tuple are escaped, so that two different keys never have the same id.
/// assert_eq!(ObjectKey::from(("a/b", 7)).id(), "a%2Fb/7");
/// assert_eq!(ObjectKey::new(std::net::Ipv4Addr::LOCALHOST).id(), "127.0.0.1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectKey(Vec<String>);

impl ObjectKey {
    /// A key of one part, from any type that implements `Display`.
    ///
    /// The usual types of keys also convert by `From`. Of a part of more than 1,024 bytes, the first 1,024
    /// are kept, with a digest of the whole text, so that two long keys stay different.
    pub fn new(key: impl Display) -> Self {
        Self(vec![part(&key)])
    }

    /// The key as it is recorded in `target_id`.
    #[must_use]
    pub fn id(&self) -> String {
        target_id(&self.0)
    }

    /// The number of parts.
    pub(crate) fn parts(&self) -> usize {
        self.0.len()
    }

    /// The beginning of the ids of the object's children, without the `/` that follows it.
    pub(crate) fn child_id_prefix(&self) -> String {
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

/// The id of an object whose key has these parts. A single part is the id. Several parts are
/// escaped and joined by `/`, so that two different keys never have the same id.
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

/// A part of a key of several parts.
fn escaped(part: &str) -> Cow<'_, str> {
    if part.contains(['/', '%']) {
        part.replace('%', "%25").replace('/', "%2F").into()
    } else {
        part.into()
    }
}

/// The path of a type whose parent is `P`, then its paths under former names of the type or of its
/// parents.
#[must_use]
pub fn child_path<P: AuditedFields>(child: &TypeInfo) -> Vec<String> {
    let parents = P::type_paths();
    let paths =
        parents.iter().flat_map(|parent| child.names().map(move |name| format!("{parent}/{name}")));
    paths.collect()
}

/// The text of one part of a key. If its `Display` panics, the text says so.
pub(crate) fn part(key: &dyn Display) -> String {
    capture::identifier(key)
}

/// Whether a store has assigned the id `after` to an object that had the id `before`: each part that
/// differs was zero, empty, or null before. Otherwise the object had an id, and has another one now.
pub(crate) fn is_assigned(before: &str, after: &str) -> bool {
    let is_unset = |part: &str| part == "null" || part.chars().all(|c| c == '0' || c == '-');
    before.split('/').count() == after.split('/').count()
        && before.split('/').zip(after.split('/')).all(|(b, a)| b == a || is_unset(b))
}

// ---- the probe of a key or label ----------------------------------------------------------------

/// A field that cannot be a key or a label.
pub struct NoText<'v, F: ?Sized>(&'v F);

/// Takes the text from `Serialize`.
pub struct KeyBySerialize<'v, F: ?Sized>(NoText<'v, F>);

/// Takes the text from `Display`.
pub struct KeyByDisplay<'v, F: ?Sized>(KeyBySerialize<'v, F>);

/// Formats an integer. This is a separate step because every save needs the text, and most keys are
/// integers.
pub struct KeyByDigits<'v, F: ?Sized>(KeyByDisplay<'v, F>);

impl<'v, F: ?Sized> Deref for KeyByDigits<'v, F> {
    type Target = KeyByDisplay<'v, F>;

    fn deref(&self) -> &KeyByDisplay<'v, F> {
        &self.0
    }
}

impl<'v, F: ?Sized> Deref for KeyByDisplay<'v, F> {
    type Target = KeyBySerialize<'v, F>;

    fn deref(&self) -> &KeyBySerialize<'v, F> {
        &self.0
    }
}

impl<'v, F: ?Sized> Deref for KeyBySerialize<'v, F> {
    type Target = NoText<'v, F>;

    fn deref(&self) -> &NoText<'v, F> {
        &self.0
    }
}

/// The probe of a field that is a part of the key, or the label.
#[inline]
pub fn key_part<F: ?Sized>(value: &F) -> KeyByDigits<'_, F> {
    KeyByDigits(KeyByDisplay(KeyBySerialize(NoText(value))))
}

impl<F: itoa::Integer + Copy> KeyByDigits<'_, F> {
    /// The text of the part.
    #[must_use]
    pub fn __audited_text(&self) -> String {
        itoa::Buffer::new().format(*self.0.0.0.0).to_owned()
    }
}

impl<F: ?Sized + Display> KeyByDisplay<'_, F> {
    /// The text of the part.
    #[must_use]
    pub fn __audited_text(&self) -> String {
        part(&self.0.0.0)
    }
}

impl<F: ?Sized + Serialize> KeyBySerialize<'_, F> {
    /// The text of the part: a string as it is, other values as JSON.
    #[must_use]
    pub fn __audited_text(&self) -> String {
        match Tree::of(self.0.0, &Mask::none()) {
            Tree::Text(text) => part(&text),
            tree => part(&tree.to_json(&Rules::default(), "", &mut Vec::new())),
        }
    }
}

/// Never implemented: it is the bound of a method, and its attribute holds the error message.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot be a key or a label",
    label = "implements neither `Display` nor `Serialize`",
    note = "implement one of these traits, or name another field"
)]
pub trait KeyField {}

impl<F: ?Sized> NoText<'_, F> {
    /// Never called, because its bound is never met.
    #[must_use]
    pub fn __audited_text(&self) -> String
    where
        F: KeyField,
    {
        String::new()
    }
}
