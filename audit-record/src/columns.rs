//! `columns!`: makes the struct [`Record`], its canonical text and its size in memory from one list
//! of columns.
//!
//! To add a column, add one line to the list in `record.rs`, and a column and a migration step to
//! each store. A type that no other column has must implement [`Canonical`] and [`HeapBytes`].
//!
//! [`Record`]: crate::Record
//! [`Canonical`]: crate::text::Canonical
//! [`HeapBytes`]: crate::size::HeapBytes

/// Defines a struct whose fields are the columns of a record. `= value` is the initial value of a
/// column; without it, the column starts with the `Default` of its type.
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
            /// The names of all columns, in the order of the canonical text.
            pub const COLUMNS: &'static [&'static str] = &[$(stringify!($column)),+];

            fn empty() -> Self {
                Self { $( $column: columns!(@empty $($empty)?) ),+ }
            }

            /// Writes the canonical JSON text: equal records have equal texts, and an absent value
            /// has no key.
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
