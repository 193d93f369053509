//! How much of one value is recorded, and which names are hidden.

use crate::capture::mask::Mask;

/// With what every mark of a cut begins, behind a `…`.
pub(crate) const CUT: &str = "[cut";

/// The most cuts of one value that are listed; all are marked in its text.
pub(super) const MAX_CUTS: usize = 64;

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
    /// Bytes of JSON text, 16 KiB unless set. One text inside a list, map or struct takes at most
    /// a quarter, so that a long one does not push out all that follows. Marks and closing
    /// brackets come on top: at most [`Limits::MARK`] for each level.
    pub bytes: usize,
    /// Lists and maps inside each other, 32 unless set; more than [`Limits::MAX_DEPTH`] counts
    /// as that.
    pub depth: usize,
    /// Elements of one list, or entries of one map or struct; 1,000 unless set.
    pub length: usize,
}

impl Limits {
    /// Bytes that the marks and brackets of one level can take beyond the limit.
    pub const MARK: usize = 64;
    /// The deepest value that is recorded. Common parsers, `serde_json` among them, read 127.
    pub const MAX_DEPTH: usize = 100;

    /// Sets the bytes of JSON text.
    #[must_use]
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets the number of lists and maps inside each other.
    #[must_use]
    pub const fn depth(mut self, levels: usize) -> Self {
        self.depth = levels;
        self
    }

    /// Sets the number of elements or entries.
    #[must_use]
    pub const fn length(mut self, elements: usize) -> Self {
        self.length = elements;
        self
    }

    #[inline]
    pub(super) fn levels(&self) -> usize {
        self.depth.min(Self::MAX_DEPTH)
    }

    /// How many values may be gone through that leave no bracket, as `Some`: there are a few
    /// for each level in ordinary types, and a limit protects the stack from the others.
    #[inline]
    pub(super) fn hops(&self) -> usize {
        8 * (self.levels() + 1)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 16 * 1024, depth: 32, length: 1_000 }
    }
}

/// What of a value is recorded: the limits, and the names that are hidden.
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
    /// Which names are hidden.
    pub mask: Mask,
}
