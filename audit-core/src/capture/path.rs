//! The place of a part inside the captured value.

use std::borrow::Cow;
use std::fmt;

use crate::capture::formatters::SingleLine;

/// The longest path in a [`Truncation`](audit_record::Truncation), in bytes.
const MAX_PATH: usize = 256;

/// A place: a linked list on the stack, so that it costs nothing until a truncation names it.
pub(super) struct PathNode<'p> {
    parent: Option<&'p PathNode<'p>>,
    step: PathStep,
}

/// The last step to a place.
#[derive(Clone, Copy)]
pub(super) enum PathStep {
    /// The value itself.
    Root,
    Index(usize),
    Field(&'static str),
    /// A map key: where it stands in the JSON text, escaped, without quotes.
    Key {
        start: usize,
        end: usize,
    },
}

/// The place of the value itself.
pub(super) static ROOT: PathNode<'static> = PathNode { parent: None, step: PathStep::Root };

impl<'p> PathNode<'p> {
    #[inline]
    pub(super) fn child(&'p self, step: PathStep) -> Self {
        Self { parent: Some(self), step }
    }

    /// The path as text. `root` is the path of the value itself; `json` holds the map keys. A path
    /// that is too long is cut.
    pub(super) fn describe(&self, root: &str, json: &str) -> String {
        let mut line = SingleLine::new(MAX_PATH);
        self.write(root, json, &mut line);
        line.text
    }

    fn write(&self, root: &str, json: &str, line: &mut SingleLine) {
        if let Some(parent) = self.parent {
            parent.write(root, json, line);
        }
        let dot = if line.text.is_empty() { "" } else { "." };
        // An error means that the line is full.
        let _ = match self.step {
            PathStep::Root => fmt::Write::write_str(line, root),
            PathStep::Index(index) => fmt::write(line, format_args!("[{index}]")),
            PathStep::Field(name) => fmt::write(line, format_args!("{dot}{name}")),
            PathStep::Key { start, end } => {
                let key = unescaped_key(json.get(start..end).unwrap_or_default());
                fmt::write(line, format_args!("{dot}{key}"))
            }
        };
    }
}

/// The text of a key, from how it stands in the JSON text between its quotes.
pub(super) fn unescaped_key(key: &str) -> Cow<'_, str> {
    match key.contains('\\') {
        true => {
            let quoted = format!("\"{key}\"");
            Cow::Owned(audit_record::private::json::unescaped(&quoted).into_owned())
        }
        false => Cow::Borrowed(key),
    }
}
