//! [`KeyText`]: writes the key of a map.

use std::fmt;

use audit_record::private::json::escape;
use serde::ser::Error as _;

use crate::capture::formatters::EscapedText;
use crate::capture::json_buffer::JsonBuffer;
use crate::capture::scalar_serializer::ScalarOutput;
use crate::capture::user_code::CaptureError;

/// Appends the text of a key, which is in quotes already.
pub(super) struct KeyText<'b, 'a>(pub(super) &'b mut JsonBuffer<'a>);

impl ScalarOutput for KeyText<'_, '_> {
    type Ok = ();

    fn text(self, text: &str) -> Result<(), CaptureError> {
        self.0.require_room(text.len())?;
        escape(self.0.json, text);
        self.0.require_room(0)
    }

    fn formatted(self, text: fmt::Arguments<'_>) -> Result<(), CaptureError> {
        let room = self.0.end.saturating_sub(self.0.json.len());
        let mut escaped = EscapedText::new(self.0.json, room);
        let result = fmt::write(&mut escaped, text);
        self.0.is_full |= escaped.is_cut;
        result.map_err(|_| CaptureError::custom("formatting a key of a map failed"))
    }
}
