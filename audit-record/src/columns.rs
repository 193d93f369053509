//! The table of columns: from one list of fields, `columns!` makes the struct [`Record`], its
//! canonical text, and its size in memory.
//!
//! To add a column, add a line to the list in `record.rs`, and a migration step to the schema of the
//! store. A type that no column has yet needs [`Canonical`] and [`HeapBytes`].
//!
//! [`Record`]: crate::Record
//! [`Canonical`]: crate::text::Canonical
//! [`HeapBytes`]: crate::size::HeapBytes

/// Defines a struct whose fields are the columns of a record. `= value` is what an optional column
/// holds at first; without it, the `Default` of its type.
macro_rules! columns {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$column_meta:meta])* $column:ident: $ty:ty $(= $empty:expr)? ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Deserialize)]
        #[non_exhaustive]
        pub struct $name {
            $( $(#[$column_meta])* pub $column: $ty ),+
        }

        impl $name {
            /// The names of all columns, in their order.
            pub const COLUMNS: &'static [&'static str] = &[$(stringify!($column)),+];

            fn empty() -> Self {
                Self { $( $column: columns!(@empty $($empty)?) ),+ }
            }

            /// The canonical JSON text: equal records have equal texts. An absent value has no key.
            #[must_use]
            pub fn to_json(&self) -> $crate::Json {
                let mut text = String::from("{");
                $( $crate::text::member(&mut text, stringify!($column), &self.$column); )+
                text.push('}');
                $crate::Json::trusted(text)
            }
        }

        impl $crate::size::HeapBytes for $name {
            fn heap_bytes(&self) -> usize {
                0 $( + self.$column.heap_bytes() )+
            }
        }

        /// Serialises the [canonical text](Self::to_json).
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.to_json().serialize(serializer)
            }
        }
    };
    (@empty) => { Default::default() };
    (@empty $empty:expr) => { $empty };
}

pub(crate) use columns;
