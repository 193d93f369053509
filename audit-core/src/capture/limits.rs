//! [`Limits`]: how much of one value is recorded. [`Rules`]: the limits and the masked names.

use crate::capture::mask::Mask;

/// The most truncations of one value that a record lists; all are marked in the text.
pub(super) const MAX_TRUNCATIONS: usize = 64;

/// How much of one value is recorded: one argument, or one result.
///
/// ```
/// use audited::Limits;
///
/// let limits = Limits::default().bytes(4_096).length(100);
/// assert_eq!((limits.bytes, limits.depth, limits.length), (4_096, 32, 100));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of JSON text, 16 KiB unless set. A text inside a list, map or struct takes at most a
    /// quarter of this limit. This leaves room for the parts after it. Truncation marks and closing
    /// brackets do not count: they add at most [`Limits::MARK`] bytes for each level.
    pub bytes: usize,
    /// Levels of lists and maps inside each other, 32 unless set. A value above
    /// [`Limits::MAX_DEPTH`] has the effect of [`Limits::MAX_DEPTH`].
    pub depth: usize,
    /// Elements of one list, or entries of one map or struct, 1,000 unless set.
    pub length: usize,
}

impl Limits {
    /// Bytes that the marks and brackets of one level can take beyond the limit.
    pub const MARK: usize = 64;
    /// The deepest value that is recorded. Common parsers, `serde_json` among them, read 127.
    pub const MAX_DEPTH: usize = 100;

    /// Everything except what is too deep.
    pub(crate) const UNLIMITED: Self =
        Self { bytes: usize::MAX, depth: Self::MAX_DEPTH, length: usize::MAX };

    /// Sets the bytes of JSON text.
    #[must_use]
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets how many levels of lists and maps are recorded.
    #[must_use]
    pub const fn depth(mut self, levels: usize) -> Self {
        self.depth = levels;
        self
    }

    /// Sets how many elements or entries are recorded.
    #[must_use]
    pub const fn length(mut self, elements: usize) -> Self {
        self.length = elements;
        self
    }

    #[inline]
    pub(super) fn levels(&self) -> usize {
        self.depth.min(Self::MAX_DEPTH)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 16 * 1024, depth: 32, length: 1_000 }
    }
}

/// Which parts of a value are recorded: the limits, and the names that are masked.
///
/// ```
/// use audit_core::capture::{Limits, Mask, Rules};
///
/// let rules = Rules { mask: Mask::default().name("iban"), ..Rules::default() };
/// assert_eq!(rules.limits, Limits::default());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// How much is recorded.
    pub limits: Limits,
    /// Which names are masked.
    pub mask: Mask,
}
