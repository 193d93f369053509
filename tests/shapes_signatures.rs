//! Shapes of functions that the attribute must leave as they are: signatures, returns, parameters.
//!
//! Each test runs an annotated function and asserts its record. Where the bare function is the measure,
//! a bare twin runs beside it. The numbers count the shapes that are known to break such attributes.

// The same files are compiled for edition 2021 by the package `tests/edition-2021`.
#[path = "shapes/drops.rs"]
mod drops;
#[path = "shapes/more.rs"]
mod more;
#[path = "shapes/parameters.rs"]
mod parameters;
#[path = "shapes/promised.rs"]
mod promised;
#[path = "shapes/receivers.rs"]
mod receivers;
#[path = "shapes/rest.rs"]
mod rest;
#[path = "shapes/returns.rs"]
mod returns;
#[path = "shapes/signatures.rs"]
mod signatures;
#[path = "shapes/told.rs"]
mod told;
#[path = "shapes/watched.rs"]
mod watched;
