//! Shapes 46 to 57, 62, 68 and 69: other attributes, lints, macros, and names of the
//! user.

#[path = "shapes/hygiene.rs"]
mod hygiene;
#[path = "shapes/lints.rs"]
mod lints;
#[path = "shapes/record_access.rs"]
mod record_access;
#[path = "shapes/stacking.rs"]
mod stacking;
#[path = "shapes/user_names.rs"]
mod user_names;
