//! JSON text: [`Json`], a captured value; and how JSON is checked, read and written.
//!
//! Not `serde_json`, because that crate implements `PartialEq` between its values and the primitive
//! types. If any crate of a program depends on it, the type of `x` in `5 == x` becomes ambiguous in
//! the whole program. Code that does not use `serde_json` would then no longer compile.

mod de;
pub(crate) mod read;
pub(crate) mod scan;
pub(crate) mod serialize;
mod value;
pub(crate) mod write;

pub use value::Json;
pub(crate) use value::present;
