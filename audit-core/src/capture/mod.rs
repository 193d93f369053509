//! Captures values as JSON text, on the thread of the call, in one pass.
//!
//! Hidden parts ([`Mask`], [`Redacted`]) never reach the text, and parts that are too large
//! ([`Limits`]) are cut and marked. Capturing never fails: a part that cannot be recorded is
//! replaced by a text that says why, and all other parts are kept. The code that serialises it may do anything except end the
//! process.
//!
//! | a value | is recorded as |
//! |---|---|
//! | hidden by name or type | `"[redacted]"` |
//! | a long text | `"abc… [cut: 123456 bytes]"`, with the length of the whole text |
//! | a long `Debug` or `Display` text | `"abc… [cut]"` |
//! | a long list | its last element is `"… [cut: 990 more elements]"` |
//! | a large map or struct | its last entry is `"…": "[cut: 5 more entries]"` |
//! | a value that is too deep | `"[cut: deeper than 32 levels]"` |
//! | bytes | `"0x00ff"` |
//! | NaN and the infinities | `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | an integer beyond 64 bits | a string of its digits |
//! | a map key that is no string | its text, or its JSON text |
//! | a lock | its content, or `"[not recorded: a lock]"`, or `"[not recorded: the lock is held]"` |
//! | a value, or a map key, whose `Serialize` fails or panics | `"[not recorded: …]"` |
//!
//! Everything else is written as `serde_json` writes it. JSON that `serde_json` holds as text
//! (`RawValue`) is read and written again, so that names in it are hidden too.
//!
//! [`ValueWriter`] is the entry point. The module `policy` decides what is hidden and how deep a
//! value is read, here and in the module `value`.
//!
//! ```
//! use audit_core::capture::{Rules, ValueWriter};
//!
//! #[derive(serde::Serialize)]
//! struct Login { user: &'static str, password: &'static str }
//!
//! let (mut json, mut truncations) = (String::new(), Vec::new());
//! let login = Login { user: "alice", password: "hunter2" };
//! let rules = Rules::default();
//! ValueWriter::new(&mut json, &mut truncations, "input.login", &rules).serialize(&login);
//! assert_eq!(json, r#"{"user":"alice","password":"[redacted]"}"#);
//! assert!(truncations.is_empty());
//! ```

mod compound_serializer;
mod debug_list;
mod debug_text;
mod decision_cache;
mod formatters;
mod identifier;
mod json_buffer;
mod key_text;
mod left_out;
mod limited_text;
mod limits;
mod mask;
mod path;
mod policy;
mod redacted;
mod scalar_serializer;
mod stack_limit;
mod std_lock;
mod type_names;
mod user_code;
mod value_serializer;
mod value_writer;
mod variant;
mod words;

pub use debug_list::DebugList;
pub(crate) use debug_text::masked as masked_debug;
pub(crate) use identifier::{identifier, identifier_cut, limited_identifier};
pub(crate) use left_out::{A_LOCK, LeftOut, mentions_lock};
pub(crate) use limited_text::{LimitedText, format_limited, write_limited};
pub use limits::{Limits, Rules};
pub use mask::Mask;
pub(crate) use policy::{
    CUT_MARK, Depth, NOT_RECORDED_MARK, Policy, REDACTED, RawJson, StructContent, VariantForm,
    bad_key_reason, bad_key_text, keyed_hash, not_recorded_text,
};
pub use redacted::Redacted;
pub(crate) use scalar_serializer::{ScalarOutput, scalar_text};
pub use std_lock::StdLock;
pub use type_names::is_secret_type;
pub(crate) use type_names::{TypeHint, has_status, is_result, is_unit};
pub use user_code::in_progress;
pub(crate) use user_code::{CaptureError, UserCodeGuard, catch_part, drop_panic, run_user_code};
pub use value_writer::{ValueWriter, write_redacted};
pub(crate) use variant::variant_name;
