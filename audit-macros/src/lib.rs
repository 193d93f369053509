//! The attributes of the `audited` crate.
