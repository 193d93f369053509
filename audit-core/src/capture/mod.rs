//! Turns arguments and results into JSON text, on the thread of the call, in one pass.
//!
//! What is hidden ([`Mask`], [`Redacted`]) never reaches the text, and what is too large
//! ([`Limits`]) is cut and marked. Nothing here fails: a value that cannot be recorded leaves a
//! text that says why, whatever the code that serialises it does, short of ending the process.
//!
//! | a value | is recorded as |
//! |---|---|
//! | hidden by name or type | `"[redacted]"` |
//! | a long text | `"abc… [cut: 123456 bytes]"`, the length being that of the whole text |
//! | a long `Debug` or `Display` text | `"abc… [cut]"` |
//! | a long list | its last element is `"… [cut: 990 more elements]"` |
//! | a large map or struct | its last entry is `"…": "[cut: 5 more entries]"` |
//! | too deep a value | `"[cut: deeper than 32 levels]"` |
//! | bytes | `"0x00ff"` |
//! | NaN and the infinities | `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | an integer beyond 64 bits | a string of its digits |
//! | a map key that is no string | its text, or its JSON text |
//! | a value whose `Serialize` fails or panics | `"[not recorded: …]"` |
//!
//! Everything else is written as `serde_json` writes it. JSON that `serde_json` holds as text
//! (`RawValue`) is read and written anew, so that names in it are hidden too.
//!
//! ```
//! use audit_core::capture::{Rules, write_serialize};
//!
//! #[derive(serde::Serialize)]
//! struct Login { user: &'static str, password: &'static str }
//!
//! let (mut text, mut cuts) = (String::new(), Vec::new());
//! let login = Login { user: "alice", password: "hunter2" };
//! write_serialize(&mut text, &mut cuts, "input.login", &Rules::default(), &login);
//! assert_eq!(text, r#"{"user":"alice","password":"[redacted]"}"#);
//! assert!(cuts.is_empty());
//! ```

mod bounded;
mod compound;
mod debug_text;
mod limits;
mod mask;
mod redacted;
mod running;
mod scalar;
mod ser;
mod text;
mod write;
mod writer;

pub(crate) use bounded::{Bounded, bounded, write_bounded};
pub(crate) use debug_text::masked as masked_debug;
pub(crate) use limits::CUT;
pub use limits::{Limits, Rules};
pub(crate) use mask::{HINTS, remembered};
pub use mask::{Mask, is_secret_type};
pub(crate) use redacted::REDACTED;
pub use redacted::Redacted;
pub use running::in_progress;
pub(crate) use running::{Running, discard, guarded};
pub use write::{write_debug, write_redacted, write_serialize, write_text, write_type_name};
pub(crate) use writer::Stop;
