//! [`JsonText`]: serialises JSON text as the value that it stands for.
//!
//! [`Json`](crate::Json) is serialised with it, and captures use it for text that a value hands
//! over as JSON, such as `serde_json::value::RawValue`.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use super::read::unescaped;
use super::scan::{skip_space, string_end, value_end};

/// JSON text that was [checked](super::scan::check), as a serialisable value.
#[derive(Clone, Copy, Debug)]
pub struct JsonText<'t> {
    /// The JSON text.
    pub text: &'t str,
    /// The struct name under which the serializer accepts the digits of a number as they are.
    /// `None`: numbers are serialised as `u64`, `i64` or `f64`.
    pub number: Option<&'static str>,
}

impl Serialize for JsonText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.text.trim_ascii();
        match text.as_bytes().first() {
            Some(b'{') => {
                let mut map = serializer.serialize_map(Some(count_entries(text)))?;
                for_each_entry(text, |key, value| {
                    map.serialize_entry(&unescaped(key), &self.nested(value))
                })?;
                map.end()
            }
            Some(b'[') => {
                let mut list = serializer.serialize_seq(Some(count_entries(text)))?;
                for_each_entry(text, |_, value| list.serialize_element(&self.nested(value)))?;
                list.end()
            }
            Some(b'"') => serializer.serialize_str(&unescaped(text)),
            Some(b't') => serializer.serialize_bool(true),
            Some(b'f') => serializer.serialize_bool(false),
            Some(b'n') | None => serializer.serialize_unit(),
            Some(_) => self.serialize_number(text, serializer),
        }
    }
}

impl<'t> JsonText<'t> {
    fn nested(&self, text: &'t str) -> Self {
        Self { text, number: self.number }
    }

    fn serialize_number<S: Serializer>(
        &self,
        text: &str,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if let Ok(number) = text.parse() {
            return serializer.serialize_u64(number);
        }
        if let Ok(number) = text.parse() {
            return serializer.serialize_i64(number);
        }
        match self.number {
            Some(name) => {
                let mut digits = serializer.serialize_struct(name, 1)?;
                digits.serialize_field(name, text)?;
                digits.end()
            }
            None => serializer.serialize_f64(text.parse().unwrap_or(f64::NAN)),
        }
    }
}

/// Calls `f` with the key and the value of each entry of the list or map in `text`, which must be
/// valid. The key is in its quotes; in a list, it is empty.
fn for_each_entry<'t, E>(
    text: &'t str,
    mut f: impl FnMut(&'t str, &'t str) -> Result<(), E>,
) -> Result<(), E> {
    let bytes = text.as_bytes();
    let mut at = skip_space(bytes, 1);
    while at < bytes.len() && !matches!(bytes[at], b'}' | b']') {
        let mut key = "";
        if bytes[0] == b'{' {
            let end = string_end(bytes, at).unwrap_or(bytes.len());
            key = &text[at..end];
            at = skip_space(bytes, skip_space(bytes, end) + 1);
        }
        let end = value_end(bytes, at, usize::MAX).unwrap_or(bytes.len());
        f(key, &text[at..end])?;
        at = skip_space(bytes, end);
        if bytes.get(at) == Some(&b',') {
            at = skip_space(bytes, at + 1);
        }
    }
    Ok(())
}

fn count_entries(text: &str) -> usize {
    let mut count = 0;
    let add_one = |_: &str, _: &str| {
        count += 1;
        Ok::<(), std::convert::Infallible>(())
    };
    match for_each_entry(text, add_one) {
        Ok(()) => count,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::scan::check;

    fn serialized(text: &str) -> String {
        serde_json::to_string(&JsonText { text, number: None }).expect("it is valid")
    }

    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            // `serde_json` is not exact in the last digit of long ones.
            (-1_000_000_i32..1_000_000).prop_map(|n| (f64::from(n) / 8.0).into()),
            ".*".prop_map(|text: String| text.into()),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::btree_map(".*", inner, 0..8)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_is_serialised_without_loss(value in values()) {
            for text in [value.to_string(), format!("{value:#}")] {
                prop_assert_eq!(check(&text), Ok(()));
                let read: serde_json::Value =
                    serde_json::from_str(&serialized(&text)).expect("it is valid");
                prop_assert_eq!(&read, &value);
            }
        }
    }
}
