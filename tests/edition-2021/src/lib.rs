//! An empty library. Its tests compile the function shapes of `audited` for edition 2021.
