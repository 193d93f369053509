//! Shapes 65 to 67: structs with audited fields, and the shapes that they share with functions.

#[path = "shapes/fields.rs"]
mod fields;
#[path = "shapes/fields_attributes.rs"]
mod fields_attributes;
#[path = "shapes/fields_lints.rs"]
mod fields_lints;
#[path = "shapes/fields_many.rs"]
mod fields_many;

// The expansion calls private functions, so the crates must be of the same release.
#[test]
fn n67_the_crates_are_pinned_to_each_other() {
    let manifest = include_str!("../Cargo.toml");
    let pin = concat!("version = \"=", env!("CARGO_PKG_VERSION"), "\"");
    for name in ["audit-core", "audit-macros"] {
        let line = manifest.lines().find(|line| line.starts_with(&format!("{name} = {{ path")));
        assert!(line.is_some_and(|line| line.contains(pin)), "{name} is not pinned: {line:?}");
    }
}
