//! Shapes 46 to 57 and 62: other attributes, lints, macros, and shadowed names.

#[path = "shapes/hygiene.rs"]
mod hygiene;
#[path = "shapes/lints.rs"]
mod lints;
#[path = "shapes/record_access.rs"]
mod record_access;
#[path = "shapes/stacking.rs"]
mod stacking;
