//! Nothing: the tests beside it compile the shapes of the package `audited` for edition 2021.
