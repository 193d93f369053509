//! Trees as the rest of the crate uses them.

mod comparison;
mod diff;
mod every_form;
mod like_captured;
mod masking;
mod support;
