//! Shapes 41 to 45: how a body exits, and which outcome is recorded.

#[path = "shapes/control_flow.rs"]
mod control_flow;
#[path = "shapes/misbehaving_values.rs"]
mod misbehaving_values;
#[path = "shapes/panics.rs"]
mod panics;
#[path = "shapes/record_access.rs"]
mod record_access;
