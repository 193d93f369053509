//! The SQLite store of the `audited` crate.
