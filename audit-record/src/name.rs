//! `named_enum!`: enums whose values have one stable name in Rust, SQL, JSON and on the command
//! line; and [`UnknownName`], the error for any other text.
//!
//! [`Kind`](crate::Kind), [`Outcome`](crate::Outcome), [`ChangeKind`](crate::ChangeKind) and
//! [`Durability`](crate::Durability) are made with it.

use std::fmt;

/// Defines a fieldless enum from its variants and their names: with `as_str`, `ALL`, `Display`,
/// `FromStr`, and serde by name.
macro_rules! named_enum {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $text:literal ),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
            serde::Serialize, serde::Deserialize,
        )]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$variant_meta])* #[serde(rename = $text)] $variant ),+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name, as it is stored and shown.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownName;

            fn from_str(text: &str) -> Result<Self, $crate::UnknownName> {
                let found = Self::ALL.iter().copied().find(|value| value.as_str() == text);
                found.ok_or_else(|| {
                    $crate::UnknownName::new(text, stringify!($name), &[$($text),+])
                })
            }
        }
    };
}

pub(crate) use named_enum;

/// A text that is not the name of a value; the message lists the names that exist.
///
/// ```
/// use audited::Durability;
///
/// let error = "disk".parse::<Durability>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`disk` is not the name of a `Durability`; use `queued`, `process` or `power`",
/// );
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct UnknownName {
    given: String,
    type_name: &'static str,
    names: &'static [&'static str],
}

/// The message shows no more than this many characters of the text.
const MAX_SHOWN_CHARS: usize = 40;

impl UnknownName {
    pub(crate) fn new(
        given: &str,
        type_name: &'static str,
        names: &'static [&'static str],
    ) -> Self {
        Self { given: given.chars().take(MAX_SHOWN_CHARS).collect(), type_name, names }
    }

    /// The names that exist, in the order of declaration.
    #[must_use]
    pub fn names(&self) -> &'static [&'static str] {
        self.names
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may come from a user: control characters must not reach a terminal.
        let given = self.given.escape_debug();
        write!(f, "`{given}` is not the name of a `{}`; use ", self.type_name)?;
        for (n, name) in self.names.iter().enumerate() {
            let separator = match n {
                0 => "",
                _ if n + 1 == self.names.len() => " or ",
                _ => ", ",
            };
            write!(f, "{separator}`{name}`")?;
        }
        Ok(())
    }
}

/// The message, as `main` prints it.
impl fmt::Debug for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for UnknownName {}
