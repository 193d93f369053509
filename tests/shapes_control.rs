//! Shapes 41 to 45: how a body is left, and what that says of the call.

#[path = "shapes/control.rs"]
mod control;
#[path = "shapes/panics.rs"]
mod panics;
#[path = "shapes/support.rs"]
mod support;
#[path = "shapes/values.rs"]
mod values;
