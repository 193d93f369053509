//! An audited type is found by method lookup, whatever its name and whatever is around it.

use audited::{audit_method, audited_fields, testing};

use super::{Pilot, change_lines, kara, single_record};

/// Audited types with the names of well-known types.
mod named {
    use super::{audit_method, audited_fields};

    macro_rules! types {
        ($($name:ident),*) => {$(
            #[audited_fields(count; key = id)]
            pub(super) struct $name {
                pub(super) id: u8,
                pub(super) count: u8,
            }

            impl $name {
                #[audit_method(skip_all)]
                pub(super) fn on_self(&mut self) {
                    self.count += 1;
                }

                #[audit_method(skip_all)]
                pub(super) fn on_other(&self, other: &mut $name) {
                    other.count += 1;
                }
            }
        )*};
    }
    types!(Result, Formatter, Tracked, Option, Vec, String, Box, Context, Mutex, Request, T);

    #[audit_method(skip_all)]
    pub(super) fn each(
        a: &mut Result,
        b: &mut Formatter,
        c: &mut Tracked,
        d: &mut Option,
        e: &mut Vec,
        f: &mut String,
        g: &mut Box,
    ) {
        for count in [
            &mut a.count,
            &mut b.count,
            &mut c.count,
            &mut d.count,
            &mut e.count,
            &mut f.count,
            &mut g.count,
        ] {
            *count += 1;
        }
    }

    macro_rules! call {
        ($($name:ident),*) => {
            pub(super) fn call_methods() {
                $(
                    $name { id: 1, count: 0 }.on_self();
                    $name { id: 1, count: 0 }.on_other(&mut $name { id: 2, count: 0 });
                )*
            }

            pub(super) const NAMES: &[&str] = &[$(stringify!($name)),*];
        };
    }
    call!(Result, Formatter, Tracked, Option, Vec, String, Box, Context, Mutex, Request, T);
}

#[test]
fn audited_types_are_found_whatever_their_names() {
    let records = testing::capture(named::call_methods);
    let lines: Vec<_> = records.iter().flat_map(change_lines).collect();
    let expected: Vec<_> = named::NAMES
        .iter()
        .flat_map(|name| [format!("{name} 1 count 0 1"), format!("{name} 2 count 0 1")])
        .collect();
    assert_eq!(lines, expected);
    let record = single_record(|| {
        macro_rules! new {
            ($name:ident) => {
                &mut named::$name { id: 1, count: 0 }
            };
        }
        named::each(
            new!(Result),
            new!(Formatter),
            new!(Tracked),
            new!(Option),
            new!(Vec),
            new!(String),
            new!(Box),
        );
    });
    let names = ["Result", "Formatter", "Tracked", "Option", "Vec", "String", "Box"];
    assert_eq!(change_lines(&record), names.map(|name| format!("{name} 1 count 0 1")));
    assert_eq!(record.target_type.as_deref(), Some("Result"));
}

// ---- boxed objects ------------------------------------------------------------------------------

#[audit_method]
fn boxed(pilot: &mut Box<Pilot>) {
    pilot.rank += 1;
    pilot.raise_in_box();
    Box::as_mut(pilot).rank += 100;
}

impl Pilot {
    #[audit_method(skip_all)]
    fn raise_in_box(&mut self) {
        self.rank += 10;
    }

    #[audit_method(skip_all)]
    fn raise_boxed_self(self: &mut Box<Self>) {
        self.rank += 1;
    }
}

#[test]
fn a_boxed_object_is_watched_as_the_object_itself() {
    let records = testing::capture(|| boxed(&mut Box::new(kara())));
    assert_eq!(change_lines(&records[0]), ["Pilot 340 rank 2 12"]);
    assert_eq!(change_lines(&records[1]), ["Pilot 340 rank 1 2", "Pilot 340 rank 12 112"]);
    assert_eq!(
        records[1].input.as_ref().unwrap().as_str(),
        r#"{"pilot":{"id":340,"name":"Kara","rank":1,"tags":["ace"],"pin":1,"seat":1}}"#
    );
    assert_eq!(records[1].target_id.as_deref(), Some("340"));
    let record = single_record(|| Box::new(kara()).raise_boxed_self());
    assert_eq!(change_lines(&record), ["Pilot 340 rank 1 2"]);
}
