//! Shapes 41 to 45, and 72: how a body exits, which outcome is recorded, and what panics besides.

#[path = "shapes/control_flow.rs"]
mod control_flow;
#[path = "shapes/details.rs"]
mod details;
#[path = "shapes/misbehaving_values.rs"]
mod misbehaving_values;
#[path = "shapes/panics.rs"]
mod panics;
#[path = "shapes/record_access.rs"]
mod record_access;
