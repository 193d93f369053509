//! Shapes 46 to 57 and 62: beside other attributes, under lints, in macros, under other names.

#[path = "shapes/hygiene.rs"]
mod hygiene;
#[path = "shapes/lints.rs"]
mod lints;
#[path = "shapes/stacking.rs"]
mod stacking;
#[path = "shapes/support.rs"]
mod support;
