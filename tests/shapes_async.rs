//! Shapes 29 to 39 and 61: async functions, and functions that return futures.

#[path = "shapes/async_signatures.rs"]
mod async_signatures;
#[path = "shapes/futures.rs"]
mod futures;
#[path = "shapes/polling.rs"]
mod polling;
#[path = "shapes/record_access.rs"]
mod record_access;
