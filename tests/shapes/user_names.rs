//! Shapes 68 and 69: traits, constants and macros of the user, under the names that the library
//! uses.
//!
//! That an expansion uses no other names is a unit test of `audit-macros`: `reserved_names`.

use std::future::Future;

use audited::{Record, testing};

/// Runs `future` to completion on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

// ---- 68 -----------------------------------------------------------------------------------------

/// A trait for every type, with a method of each name that the library has for itself.
macro_rules! trait_for_every_type {
    ($receiver:tt $($name:ident)*) => {
        #[allow(dead_code, clippy::wrong_self_convention, clippy::should_implement_trait)]
        trait ForEveryType {
            $(
                #[allow(clippy::new_ret_no_self, reason = "any name may be the user's")]
                fn $name $receiver where Self: Sized {}
            )*
        }

        impl<T: ?Sized> ForEveryType for T {}
    };
}

/// Audited functions and types of all kinds.
macro_rules! audited_items {
    () => {
        use std::future::Future;
        use std::pin::Pin;

        use audited::{Refused, audit_method, audited_fields};

        #[audited_fields(title, pages(debug), secret(redact), size(with = double); key = id)]
        pub(super) struct Doc {
            pub(super) id: u8,
            pub(super) title: &'static str,
            pub(super) pages: u8,
            pub(super) secret: u8,
            pub(super) size: u8,
        }

        fn double(size: &u8) -> u8 {
            size * 2
        }

        #[audited_fields(name; key = id, label = name, parent = Doc(doc))]
        pub(super) struct Part {
            pub(super) id: u8,
            pub(super) doc: u8,
            pub(super) name: &'static str,
        }

        impl Doc {
            #[audit_method]
            pub(super) fn rename(&mut self) {
                self.title = "new";
            }

            #[audit_method]
            pub(super) async fn grow(&mut self, by: u8) -> u8 {
                self.pages += by;
                self.pages
            }
        }

        #[audit_method]
        pub(super) fn rename(part: &mut Part) {
            part.name = "new";
        }

        #[audit_method(
            action = "pay", target = ("account", n), reason = "monthly", fields(twice = n * 2),
            capture = "full", log = "info", durability = "queued", debug(n)
        )]
        pub(super) fn pay(n: u8, (a, _): (u8, u8)) -> Result<u8, std::num::TryFromIntError> {
            if n > 3 { Err(u8::try_from(u16::MAX).unwrap_err()) } else { Ok(a) }
        }

        #[audit_method(redact(pin), skip_output)]
        #[track_caller]
        pub(super) fn enter(pin: u16) -> Option<u16> {
            Some(pin)
        }

        #[audit_method]
        pub(super) fn later(n: u8) -> Pin<Box<dyn Future<Output = u8> + Send>> {
            Box::pin(async move { n })
        }

        #[audit_method]
        pub(super) fn soon(n: u8) -> impl Future<Output = u8> {
            async move { n }
        }

        #[audit_method]
        pub(super) async fn hold(n: u8) -> Result<u8, String> {
            if n == 0 { Err("zero".to_owned()) } else { Ok(n) }
        }

        #[audit_method]
        pub(super) fn count(n: u8) -> impl Iterator<Item = u8> {
            0..n
        }

        #[audit_method]
        pub(super) fn show(n: u8) -> impl std::fmt::Debug {
            n
        }

        #[audit_method(on_audit_failure = "refuse")]
        pub(super) fn refuse(n: u8) -> Result<u8, Refused> {
            Ok(n)
        }

        #[audit_method(on_audit_failure = "refuse")]
        pub(super) async fn refuse_later(n: u8) -> Result<u8, Refused> {
            Ok(n)
        }

        pub(super) fn execute() -> u8 {
            audited::execute!("execute", "m::execute", (), || 7)
        }
    };
}

macro_rules! beside_traits {
    ($module:ident, $receiver:tt) => {
        mod $module {
            trait_for_every_type! {
                $receiver
                action admit admit_async argument as_mut as_ref async_output begin begin_call
                called capture child_of compare describe done durability end enter expect field
                fields finish formerly get guard hold input is_none is_recorded is_some is_waiting
                is_watching keyed key_part key_parts label labelled leaves_out lend log make map
                method named new outcome output panicked poll poll_stored reached reason record
                record_error record_field record_output redacted refresh refuses register release
                returned run run_async running set set_field site skipped snapshot split start
                succeeded take take_call target target_id text try_run type_paths unwrap
                unwrap_or_resume value wait wait_async wanted was_reached watch with_fields write
            }

            audited_items!();
        }
    };
}

beside_traits!(by_value, (self));
beside_traits!(by_reference, (&self));
beside_traits!(by_mutable_reference, (&mut self));

macro_rules! calls {
    ($module:ident) => {{
        use $module::*;
        let mut doc = Doc { id: 1, title: "old", pages: 1, secret: 1, size: 1 };
        let mut part = Part { id: 2, doc: 1, name: "old" };
        doc.rename();
        assert_eq!(block_on(doc.grow(2)), 3);
        rename(&mut part);
        assert_eq!((pay(3, (5, 6)).ok(), pay(4, (5, 6)).ok()), (Some(5), None));
        assert_eq!(enter(7), Some(7));
        assert_eq!(block_on(later(8)), 8);
        assert_eq!(block_on(soon(9)), 9);
        assert_eq!(block_on(hold(0)), Err("zero".to_owned()));
        assert_eq!(count(3).count(), 3);
        assert_eq!(format!("{:?}", show(3)), "3");
        assert!(refuse(1).is_ok() || refuse(1).is_err());
        assert!(block_on(refuse_later(1)).is_ok());
        assert_eq!(execute(), 7);
    }};
}

/// For each record: its call, its outcome, and how many fields changed.
const CALLS: [(&str, &str, usize); 13] = [
    ("rename", "success", 1),
    ("grow", "success", 1),
    ("rename", "success", 1),
    ("pay", "success", 0),
    ("pay", "failure", 0),
    ("enter", "success", 0),
    ("later", "success", 0),
    ("soon", "success", 0),
    ("hold", "failure", 0),
    ("count", "success", 0),
    ("show", "success", 0),
    ("refuse", "success", 0),
    ("refuse_later", "success", 0),
];

#[track_caller]
fn assert_calls(records: &[Record]) {
    let mut calls: Vec<_> = records
        .iter()
        .map(|record| {
            let name = record.action.rsplit("::").next().unwrap();
            (name, record.outcome.as_str(), record.changes.len())
        })
        .collect();
    assert_eq!(calls.pop(), Some(("execute", "success", 0)));
    assert_eq!(calls, CALLS);
    assert_eq!(records[3].target_id.as_deref(), Some("3"));
    assert_eq!(records[3].reason.as_deref(), Some("monthly"));
}

#[test]
fn n68_traits_for_every_type_do_not_affect_the_expansion() {
    assert_calls(&testing::capture(|| calls!(by_value)));
    assert_calls(&testing::capture(|| calls!(by_reference)));
    assert_calls(&testing::capture(|| calls!(by_mutable_reference)));
}

// ---- 69 -----------------------------------------------------------------------------------------

/// Items that a local variable, a pattern, a type or a macro of the same name would mean instead.
macro_rules! items {
    ($kind:ident: $($name:ident)*) => {
        $(items!(@$kind $name);)*
    };
    (@static $name:ident) => { static $name: u8 = 0; };
    (@const $name:ident) => { const $name: u8 = 0; };
    (@struct $name:ident) => { struct $name; };
    (@function $name:ident) => { fn $name() {} };
}

macro_rules! beside_items {
    ($module:ident, $kind:ident) => {
        #[allow(
            dead_code,
            non_upper_case_globals,
            non_camel_case_types,
            non_snake_case,
            unused_macros
        )]
        mod $module {
            items! {
                $kind:
                _audited_here _held _watch action after argument before buffer call delta ended
                entry error f0 fields finish guard index input loan marker name object output
                private ran refused register result site snapshot this value visitor watch
                begin_call outcome Call FieldSnapshot FieldVisitor Input PhantomData Serialize
            }

            macro_rules! assert {
                () => {};
            }

            macro_rules! matches {
                () => {};
            }

            audited_items!();
        }
    };
}

beside_items!(statics, static);
beside_items!(constants, const);
beside_items!(structs, struct);
beside_items!(functions, function);

#[test]
fn n69_items_with_the_names_of_locals_do_not_affect_the_expansion() {
    assert_calls(&testing::capture(|| calls!(statics)));
    assert_calls(&testing::capture(|| calls!(constants)));
    assert_calls(&testing::capture(|| calls!(structs)));
    assert_calls(&testing::capture(|| calls!(functions)));
}

/// Constants of an audited type that its traits have, too.
#[allow(dead_code)]
mod constants_of_the_type {
    #[audited::audited_fields(name; key = id, parent = Parent(parent))]
    pub(super) struct Named {
        pub(super) id: u8,
        pub(super) parent: u8,
        pub(super) name: &'static str,
    }

    #[audited::audited_fields(id; key = id)]
    struct Parent {
        id: u8,
    }

    impl Named {
        const TYPE: u8 = 1;
        fn snapshot(&self) {}
        fn compare(&self) {}
        fn describe(&self) {}
        fn refresh(&mut self) {}
        fn type_paths() {}
        fn type_path() {}
        fn target_id(&self) {}
        fn label(&self) {}

        #[audited::audit_method]
        pub(super) fn rename(&mut self) {
            self.name = "new";
        }
    }
}

#[test]
fn n69_items_of_an_audited_type_do_not_affect_the_expansion() {
    let mut named = constants_of_the_type::Named { id: 1, parent: 2, name: "old" };
    let records = testing::capture(|| named.rename());
    assert_eq!(records[0].changes.len(), 1);
    assert_eq!(records[0].target_id.as_deref(), Some("2/1"));
}

/// `execute!` beside constants with the names of its locals.
#[test]
fn n69_execute_has_no_names_of_the_user() {
    #[allow(dead_code, non_upper_case_globals)]
    mod m {
        const call: u8 = 1;
        const value: u8 = 2;
        static error: u8 = 3;

        pub(super) fn run() -> Result<u8, String> {
            audited::execute!("execute", "m::execute", (), || -> Result<u8, String> {
                Ok(call + value + error)
            })
        }
    }
    let records = testing::capture(|| assert_eq!(m::run(), Ok(6)));
    assert_eq!(records[0].output.as_ref().unwrap().as_str(), "6");
}
