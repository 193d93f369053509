//! Shapes 50 to 52 for structs: strict lints. Neither rustc nor Clippy may warn about the
//! expansion.

#![deny(
    warnings,
    missing_docs,
    unreachable_pub,
    unused,
    unused_qualifications,
    unused_lifetimes,
    unused_results,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    let_underscore_drop,
    missing_debug_implementations,
    missing_copy_implementations,
    non_local_definitions,
    private_bounds,
    private_interfaces,
    single_use_lifetimes,
    trivial_casts,
    unnameable_types,
    unsafe_code,
    unused_import_braces,
    variant_size_differences
)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(
    clippy::absolute_paths,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::default_numeric_fallback,
    clippy::exhaustive_structs,
    clippy::field_scoped_visibility_modifiers,
    clippy::min_ident_chars,
    clippy::missing_docs_in_private_items,
    clippy::missing_inline_in_public_items,
    clippy::missing_trait_methods,
    clippy::mutable_key_type,
    clippy::partial_pub_fields,
    clippy::pattern_type_mismatch,
    clippy::pub_without_shorthand,
    clippy::ref_patterns,
    clippy::same_name_method,
    clippy::semicolon_inside_block,
    clippy::single_char_lifetime_names,
    clippy::std_instead_of_core,
    clippy::wildcard_enum_match_arm
)]

use audited::audited_fields;
use audited::fields::AuditedFields as _;

/// A plane.
#[audited_fields(all, of(was = "for"), seats(was = "chairs"), _unused(debug), pin(redact); key = (tail, number), label = tail)]
#[derive(Clone, Debug)]
#[non_exhaustive]
struct Plane<'text, Of: Clone = u8> {
    /// The purpose of the plane.
    of: Of,
    /// The seats for passengers.
    seats: Vec<u8>,
    /// The tail sign.
    tail: &'text str,
    /// The serial number.
    number: u64,
    /// A field without a use.
    _unused: Option<Of>,
    /// A secret.
    pin: (u8, u8),
}

/// A deprecated type.
#[deprecated]
#[derive(Debug)]
#[audited_fields(age, name(rename = "title"); key = name, parent = Plane<'static>(tail, number))]
struct Old {
    /// The age.
    #[deprecated]
    age: u8,
    /// The name.
    name: &'static str,
    /// The tail sign of its plane.
    tail: &'static str,
    /// The serial number of its plane.
    number: u64,
}

#[test]
fn n50_audited_fields_cause_no_warning() {
    let plane =
        Plane { of: 1_u8, seats: vec![2], tail: "N", number: 1, _unused: None, pin: (1, 2) };
    assert_eq!(plane.target_id(), "N/1");
    #[expect(deprecated, reason = "the test constructs it")]
    let old = Old { age: 3, name: "old", tail: "N", number: 1 };
    assert_eq!(old.target_id(), "N/1/old");
}
