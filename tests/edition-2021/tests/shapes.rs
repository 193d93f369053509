//! Compiles and runs the function shapes of `audited` in edition 2021, and shapes that exist only
//! there.

#[path = "../../shapes/async_signatures.rs"]
mod async_signatures;
#[path = "../../shapes/bodies.rs"]
mod bodies;
#[path = "../../shapes/drops.rs"]
mod drops;
#[path = "../../shapes/drops_of_self.rs"]
mod drops_of_self;
#[path = "../../shapes/durable_calls.rs"]
mod durable_calls;
#[path = "../../shapes/error_types.rs"]
mod error_types;
#[path = "../../shapes/fields.rs"]
mod fields;
#[path = "../../shapes/fields_attributes.rs"]
mod fields_attributes;
#[path = "../../shapes/followed_futures.rs"]
mod followed_futures;
#[path = "../../shapes/mut_parameters.rs"]
mod mut_parameters;
#[path = "../../shapes/parameters.rs"]
mod parameters;
#[path = "../../shapes/record_access.rs"]
mod record_access;
#[path = "../../shapes/returned_futures.rs"]
mod returned_futures;
#[path = "../../shapes/returns.rs"]
mod returns;
#[path = "../../shapes/signatures.rs"]
mod signatures;
#[path = "../../shapes/summary.rs"]
mod summary;
#[path = "../../shapes/trait_methods.rs"]
mod trait_methods;

use audited::fields::AuditedFields;
use audited::{audit_method, audited_fields};

// In this edition, an `impl Trait` captures only the lifetimes that it names. An `impl Trait`
// written by the macro would follow the edition of the macro.
#[test]
fn n15_an_impl_trait_captures_only_what_it_names() {
    #[audit_method]
    fn counted(values: &[u8]) -> impl Iterator<Item = usize> {
        0..values.len()
    }
    #[audit_method]
    fn borrowed<'v>(values: &'v [u8], _other: &str) -> impl Iterator<Item = &'v u8> {
        values.iter()
    }

    let records = audited::testing::capture(|| {
        let values = vec![1, 2];
        let counted = counted(&values);
        let borrowed = {
            let other = "other".to_owned();
            borrowed(&values, &other)
        };
        assert_eq!(counted.count(), 2);
        assert_eq!(borrowed.count(), 2);
    });
    assert_eq!(records.len(), 2);
}

// In this edition, the body of an `unsafe fn` needs no `unsafe` block.
#[test]
fn n05_an_unsafe_fn_needs_no_unsafe_block() {
    /// # Safety
    ///
    /// `values` must not be empty.
    #[audit_method]
    unsafe fn first(values: &[u8]) -> u8 {
        *values.get_unchecked(0)
    }

    // SAFETY: the slice is not empty.
    let summary = summary::summary_of(|| unsafe { first(&[7]) });
    assert_eq!(summary[0]["out"], 7);
}

#[test]
fn n25_arguments_may_be_named_like_keywords_of_a_later_edition() {
    #[audit_method]
    fn doubled(gen: u8) -> u8 {
        gen * 2
    }
    let records = audited::testing::capture(|| assert_eq!(doubled(4), 8));
    assert_eq!(records[0].input.as_ref().unwrap().as_str(), r#"{"gen":4}"#);
}

// The names of the type and its fields are keywords of a later edition.
#[test]
fn n66_fields_may_be_named_like_keywords_of_a_later_edition() {
    #[audited_fields(gen, try_; key = gen, label = gen)]
    #[allow(non_camel_case_types)]
    struct gen {
        gen: u8,
        try_: u8,
    }

    #[audited_fields(all; key = gen, parent = gen(gen))]
    struct Child {
        gen: u8,
    }

    let object = gen { gen: 1, try_: 2 };
    assert_eq!((gen::TYPE.name(), gen::TYPE.key()), ("gen", &["gen"][..]));
    assert_eq!((object.target_id(), object.label()), ("1".to_owned(), Some("1".to_owned())));
    assert_eq!(Child::type_path(), "gen/Child");
    assert_eq!(Child { gen: 1 }.target_id(), "1/1");
}
