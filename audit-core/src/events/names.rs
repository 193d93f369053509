//! The span of a call, as filters and other layers see it.

/// Target and name of the span of a call. Filters see them.
pub(crate) const TARGET: &str = "audited";
pub(crate) const SPAN: &str = "call";
