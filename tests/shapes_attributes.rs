//! Shapes 46 to 57, 62, 68, 69 and 73 to 75: other attributes, lints, macros, and names of the
//! user.

#[path = "shapes/hygiene.rs"]
mod hygiene;
#[path = "shapes/lints.rs"]
mod lints;
#[path = "shapes/macro_fragments.rs"]
mod macro_fragments;
#[path = "shapes/paths.rs"]
mod paths;
#[path = "shapes/record_access.rs"]
mod record_access;
#[path = "shapes/stacking.rs"]
mod stacking;
#[path = "shapes/unused_names.rs"]
mod unused_names;
#[path = "shapes/user_names.rs"]
mod user_names;
