//! Function shapes whose signatures, return types, parameters and drop order the attribute must
//! preserve.
//!
//! Each test runs an annotated function and asserts its record. Where the bare function is the
//! reference, a twin without the attribute runs beside it. The numbers refer to the list of shapes
//! that are known to break such attributes.

// The package `tests/edition-2021` compiles the same files for edition 2021.
#[path = "shapes/bodies.rs"]
mod bodies;
#[path = "shapes/drops.rs"]
mod drops;
#[path = "shapes/drops_of_self.rs"]
mod drops_of_self;
#[path = "shapes/durable_calls.rs"]
mod durable_calls;
#[path = "shapes/error_types.rs"]
mod error_types;
#[path = "shapes/followed_futures.rs"]
mod followed_futures;
#[path = "shapes/lifetimes.rs"]
mod lifetimes;
#[path = "shapes/mut_parameters.rs"]
mod mut_parameters;
#[path = "shapes/parameters.rs"]
mod parameters;
#[path = "shapes/record_access.rs"]
mod record_access;
#[path = "shapes/returned_futures.rs"]
mod returned_futures;
#[path = "shapes/returns.rs"]
mod returns;
#[path = "shapes/signatures.rs"]
mod signatures;
#[path = "shapes/spelling.rs"]
mod spelling;
#[path = "shapes/summary.rs"]
mod summary;
#[path = "shapes/trait_methods.rs"]
mod trait_methods;
