//! Structs with audited fields beside other attributes and under another crate path, and the type
//! information that they provide.

use std::collections::BTreeMap;

use audited::audited_fields;
use audited::fields::{AuditedFields, TypeInfo};
use serde::{Deserialize, Serialize};

use super::fields::changes_after;

// ---- beside other attributes --------------------------------------------------------------------

/// A doc comment.
#[derive(Clone, Debug, Default)]
/// Another doc comment.
#[audited_fields(
    /* audited fields */
    name, tags(set), // in any order
    extra,
    ;
    key = (id),
)]
#[derive(Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
struct Beside {
    /// The key.
    #[serde(rename = "_id")]
    id: u8,
    #[serde(default, alias = "title")]
    name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<u8>,
    #[serde(flatten)]
    extra: BTreeMap<String, u8>,
}

#[test]
fn n46_derives_documentation_and_helper_attributes_are_preserved() {
    let object: Beside = serde_json::from_str(r#"{"_id":1,"title":"a","tags":[1,2]}"#).unwrap();
    assert_eq!(
        Beside::TYPE.fields().iter().map(|field| field.is_set()).collect::<Vec<_>>(),
        [false, true, false]
    );
    let changes = changes_after(object.clone(), |object| {
        object.tags = vec![3, 1];
        object.extra.insert("b".into(), 1);
    });
    assert_eq!(changes, ["tags[]: 2 → -", "tags[]: - → 3", "extra.b: - → 1"]);
    assert_eq!(serde_json::to_string(&object).unwrap(), r#"{"_id":1,"name":"a","tags":[1,2]}"#);
}

// ---- another path -------------------------------------------------------------------------------

mod re {
    pub(crate) mod exported {
        pub(crate) use ::audited::*;
    }
}

mod elsewhere {
    // None of these is used by the expansion.
    #![allow(dead_code, non_camel_case_types)]
    mod audited {}
    mod core {}
    mod std {}
    struct Option;
    struct String;
    struct Some;
    trait Clone {}

    #[crate::fields_attributes::re::exported::audited_fields(number(redact); key = id, label = number_2, crate = crate::fields_attributes::re::exported)]
    pub(super) struct Elsewhere {
        pub(super) id: u8,
        pub(super) number: u8,
        pub(super) number_2: u8,
    }
}

#[test]
fn n55_and_n56_other_crate_paths_and_shadowed_names_are_supported() {
    let object = elsewhere::Elsewhere { id: 1, number: 1, number_2: 2 };
    assert_eq!(object.label().as_deref(), Some("2"));
    assert_eq!(
        changes_after(object, |object| object.number = 2),
        [r#"number: "[redacted]" → "[redacted]""#]
    );
}

// ---- type information ---------------------------------------------------------------------------

#[audited_fields(
    name(was("title", "caption"), was = "heading", rename = "label"), total(with = cents);
    key = (tenant, id), name = "invoice", was = "Bill", was("Receipt", "Note"), label = name,
    parent = super::fields::inner::Public<u8>(owner, customer)
)]
struct Invoice {
    tenant: String,
    id: u8,
    owner: u8,
    customer: u8,
    name: String,
    total: f64,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn cents(total: &f64) -> i64 {
    (total * 100.0).round() as i64
}

#[test]
fn type_information_contains_every_option() {
    let info = Invoice::TYPE;
    assert_eq!((info.name(), info.rust_name()), ("invoice", "Invoice"));
    assert!(info.module().ends_with("fields_attributes"), "{}", info.module());
    assert_eq!(info.former_names(), ["Bill", "Receipt", "Note"]);
    assert_eq!(info.key(), ["tenant", "id"]);
    assert_eq!(info.label(), Some("name"));
    assert_eq!(info.parent(), Some("super::fields::inner::Public<u8>"));
    assert_eq!(info.fields()[0].former_names(), ["title", "caption", "heading"]);
    assert_eq!(Invoice::type_path(), "Owner/Public/invoice");
    let invoice = Invoice {
        tenant: "a/b".into(),
        id: 1,
        owner: 2,
        customer: 3,
        name: "first".into(),
        total: 10.0,
    };
    assert_eq!(invoice.target_id(), "2/3/a%2Fb/1");
    assert_eq!(invoice.label().as_deref(), Some("first"));
    let known = audited::catalogue();
    assert!(known.types().iter().any(|found| **found == *info));
    // The catalogue lists a generic type once, whatever its arguments.
    let generic = |found: &&&TypeInfo| found.rust_name() == "Generic";
    assert_eq!(known.types().iter().filter(generic).count(), 1);
}
