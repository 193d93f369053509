//! Finds out how to record an argument or a return value, of a known type or of any other.
//!
//! With the feature `http` or `axum`, the types of these crates come first, because they are not
//! `Serialize`: a wrapper such as `Json<T>` is recorded as the value in it. Other types are looked
//! up in [`probe`](super::probe).

#[cfg(not(feature = "http"))]
pub(super) use crate::call::probe::{ValueBySerialize as AnyContent, any_value as any_content};
#[cfg(feature = "axum")]
pub(super) use wrappers::Content;
#[cfg(feature = "http")]
pub(super) use wrappers::{
    AsContent, ContentBySerialize as AnyContent, KnownType, SerializeContent, ValueByKnownType,
    any_content,
};

#[cfg(feature = "http")]
mod wrappers {
    use std::fmt::{Debug, Display};

    use serde::{Serialize, Serializer};

    use crate::call::probe::{ValueBySerialize, ValueByTypeName, any_value};

    /// A type that is recorded as the value in it.
    pub trait Content {
        /// The type of that value.
        type Value: ?Sized;

        /// The value.
        fn content(&self) -> &Self::Value;
    }

    /// A type that consists of [`Content`] which is `Serialize`.
    pub trait SerializeContent {
        /// Serialises the content.
        ///
        /// # Errors
        ///
        /// Those of `serializer`, and of the `Serialize` of the content.
        fn serialize_content<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
    }

    impl<C: Content<Value: Serialize>> SerializeContent for C {
        fn serialize_content<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.content().serialize(serializer)
        }
    }

    /// An optional extractor.
    impl<C: SerializeContent> SerializeContent for Option<C> {
        fn serialize_content<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.as_ref().map(AsContent).serialize(serializer)
        }
    }

    /// An extractor with the reason why it was rejected.
    impl<C: SerializeContent, E: Display> SerializeContent for Result<C, E> {
        fn serialize_content<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.as_ref().map(AsContent).map_err(ToString::to_string).serialize(serializer)
        }
    }

    /// A type whose [`Content`] is `Debug`.
    pub trait DebugContent: Content<Value: Debug> {}

    impl<C: Content<Value: Debug>> DebugContent for C {}

    /// Serialises the content of a value.
    pub(in crate::call) struct AsContent<'v, C: ?Sized>(pub(in crate::call) &'v C);

    impl<C: SerializeContent + ?Sized> Serialize for AsContent<'_, C> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize_content(serializer)
        }
    }

    falls_back! {
        /// Records a value by the type of its content.
        ContentByTypeName => ValueBySerialize
    }

    falls_back! {
        /// Records a value by the `Debug` text of its content.
        ContentByDebug => ContentByTypeName
    }

    falls_back! {
        /// Records a value by the JSON of its content.
        ContentBySerialize => ContentByDebug
    }

    /// A type of which `ValueByKnownType` knows how to record it.
    pub trait KnownType {}

    falls_back! {
        /// Records a value of a known type.
        ValueByKnownType => ValueByTypeName
    }

    impl<'v, T: KnownType> ValueByKnownType<'v, T> {
        pub(in crate::call) fn new(value: &'v T) -> Self {
            Self(ValueByTypeName { value })
        }
    }

    records!([C: SerializeContent] ContentBySerialize<C>, |this, writer| {
        writer.serialize(&AsContent(this.value));
    });
    records!([C: DebugContent] ContentByDebug<C>, |this, writer| {
        writer.debug(this.value.content());
    });
    records!([C: Content] ContentByTypeName<C>, |_this, writer| {
        writer.type_name::<C::Value>();
    });

    /// Looks up how to record a value.
    #[inline]
    pub(in crate::call) fn any_content<T: ?Sized>(value: &T) -> ContentBySerialize<'_, T> {
        ContentBySerialize(ContentByDebug(ContentByTypeName(any_value(value))))
    }
}
