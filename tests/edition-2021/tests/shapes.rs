//! The shapes of `audited`'s own tests, in edition 2021.

#[path = "../../shapes/drops.rs"]
mod drops;
#[path = "../../shapes/fields.rs"]
mod fields;
#[path = "../../shapes/fields_more.rs"]
mod fields_more;
#[path = "../../shapes/more.rs"]
mod more;
#[path = "../../shapes/parameters.rs"]
mod parameters;
#[path = "../../shapes/promised.rs"]
mod promised;
#[path = "../../shapes/receivers.rs"]
mod receivers;
#[path = "../../shapes/rest.rs"]
mod rest;
#[path = "../../shapes/returns.rs"]
mod returns;
#[path = "../../shapes/signatures.rs"]
mod signatures;
#[path = "../../shapes/told.rs"]
mod told;
#[path = "../../shapes/watched.rs"]
mod watched;

use audited::{AuditedFields, audit_method, audited_fields};

// An `impl Trait` of this edition captures only what it names. One written by the macro would be captured by
// the rules of the macro's edition.
#[test]
fn n15_an_impl_trait_captures_what_it_names() {
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

// Here an `unsafe fn` needs no `unsafe` inside.
#[test]
fn n05_an_unsafe_function_is_unsafe_throughout() {
    /// # Safety
    ///
    /// `values` must not be empty.
    #[audit_method]
    unsafe fn first(values: &[u8]) -> u8 {
        *values.get_unchecked(0)
    }

    // SAFETY: it is not empty.
    let told = told::of(|| unsafe { first(&[7]) });
    assert_eq!(told[0]["out"], 7);
}

#[test]
fn n25_arguments_named_like_keywords_of_a_later_edition() {
    #[audit_method]
    fn doubled(gen: u8) -> u8 {
        gen * 2
    }
    let records = audited::testing::capture(|| assert_eq!(doubled(4), 8));
    assert_eq!(records[0].input.as_ref().unwrap().as_str(), r#"{"gen":4}"#);
}

// Words that are keywords of a later edition.
#[test]
fn n66_fields_named_as_later_keywords() {
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
