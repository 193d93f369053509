//! Measures the cost of saving a tracked object, compared with manual code in the same run.
//!
//! `cargo bench --bench fields` saves objects of 5, 50 and 500 fields, unchanged and with one field
//! changed. A fifth of the fields each are texts, integers, floats, optional texts and booleans.
//! The manual code keeps a clone and compares it with `==`; if they differ, it serialises both and
//! compares them field by field. The reference of each table is serialising the object once with
//! `serde_json`. The recorder's store discards everything, so that only the caller's time is
//! measured. Each result is the median of 21 bursts.

#[path = "common/mod.rs"]
mod common;

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Instant;

use audited::{Audit, Tracked, audited_fields};
use common::recording::NullStore;
use common::{Table, median};
use serde::Serialize;
use serde_json::Value;

/// Measured bursts.
const BURSTS: usize = 21;
/// Saves per burst for the smallest object, fewer for larger ones. The queue must hold all of them.
const SAVES: usize = 4_000;

/// An object to save.
trait Object: audited::fields::AuditedFields + Clone + PartialEq + Serialize {
    const FIELDS: usize;
    fn new() -> Self;
    /// Changes one field to a value that it has not had before.
    fn change(&mut self, number: u64);
}

/// Defines a struct with fields of five types.
macro_rules! object {
    ($name:ident, $fields:literal; $($ty:ty: $($field:ident)*;)*) => {
        #[audited_fields(all, except(id); key = id)]
        #[derive(Clone, PartialEq, Serialize)]
        struct $name {
            id: u64,
            $($($field: $ty,)*)*
        }

        impl Object for $name {
            const FIELDS: usize = $fields;

            fn new() -> Self {
                Self { id: 17, $($($field: <$ty as Sample>::sample(stringify!($field)),)*)* }
            }

            fn change(&mut self, number: u64) {
                self.b0 = number;
            }
        }
    };
}

/// A typical value for a field of this type.
trait Sample {
    fn sample(name: &str) -> Self;
}

impl Sample for String {
    fn sample(name: &str) -> Self {
        format!("the value of {name}, some words long")
    }
}

impl Sample for u64 {
    fn sample(name: &str) -> Self {
        1_000_000 + name.len() as u64
    }
}

impl Sample for f64 {
    fn sample(name: &str) -> Self {
        49.194_7 + name.len() as f64
    }
}

impl Sample for Option<String> {
    fn sample(name: &str) -> Self {
        Some(String::sample(name))
    }
}

impl Sample for bool {
    fn sample(name: &str) -> Self {
        name.len().is_multiple_of(2)
    }
}

object! {
    Small, 5;
    String:
        a0;
    u64:
        b0;
    f64:
        c0;
    Option<String>:
        d0;
    bool:
        e0;
}

object! {
    Medium, 50;
    String:
        a0 a1 a2 a3 a4 a5 a6 a7 a8 a9;
    u64:
        b0 b1 b2 b3 b4 b5 b6 b7 b8 b9;
    f64:
        c0 c1 c2 c3 c4 c5 c6 c7 c8 c9;
    Option<String>:
        d0 d1 d2 d3 d4 d5 d6 d7 d8 d9;
    bool:
        e0 e1 e2 e3 e4 e5 e6 e7 e8 e9;
}

object! {
    Large, 500;
    String:
        a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 a10 a11 a12 a13 a14 a15 a16 a17 a18 a19 a20 a21 a22 a23 a24
        a25 a26 a27 a28 a29 a30 a31 a32 a33 a34 a35 a36 a37 a38 a39 a40 a41 a42 a43 a44 a45 a46
        a47 a48 a49 a50 a51 a52 a53 a54 a55 a56 a57 a58 a59 a60 a61 a62 a63 a64 a65 a66 a67 a68
        a69 a70 a71 a72 a73 a74 a75 a76 a77 a78 a79 a80 a81 a82 a83 a84 a85 a86 a87 a88 a89 a90
        a91 a92 a93 a94 a95 a96 a97 a98 a99;
    u64:
        b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 b10 b11 b12 b13 b14 b15 b16 b17 b18 b19 b20 b21 b22 b23 b24
        b25 b26 b27 b28 b29 b30 b31 b32 b33 b34 b35 b36 b37 b38 b39 b40 b41 b42 b43 b44 b45 b46
        b47 b48 b49 b50 b51 b52 b53 b54 b55 b56 b57 b58 b59 b60 b61 b62 b63 b64 b65 b66 b67 b68
        b69 b70 b71 b72 b73 b74 b75 b76 b77 b78 b79 b80 b81 b82 b83 b84 b85 b86 b87 b88 b89 b90
        b91 b92 b93 b94 b95 b96 b97 b98 b99;
    f64:
        c0 c1 c2 c3 c4 c5 c6 c7 c8 c9 c10 c11 c12 c13 c14 c15 c16 c17 c18 c19 c20 c21 c22 c23 c24
        c25 c26 c27 c28 c29 c30 c31 c32 c33 c34 c35 c36 c37 c38 c39 c40 c41 c42 c43 c44 c45 c46
        c47 c48 c49 c50 c51 c52 c53 c54 c55 c56 c57 c58 c59 c60 c61 c62 c63 c64 c65 c66 c67 c68
        c69 c70 c71 c72 c73 c74 c75 c76 c77 c78 c79 c80 c81 c82 c83 c84 c85 c86 c87 c88 c89 c90
        c91 c92 c93 c94 c95 c96 c97 c98 c99;
    Option<String>:
        d0 d1 d2 d3 d4 d5 d6 d7 d8 d9 d10 d11 d12 d13 d14 d15 d16 d17 d18 d19 d20 d21 d22 d23 d24
        d25 d26 d27 d28 d29 d30 d31 d32 d33 d34 d35 d36 d37 d38 d39 d40 d41 d42 d43 d44 d45 d46
        d47 d48 d49 d50 d51 d52 d53 d54 d55 d56 d57 d58 d59 d60 d61 d62 d63 d64 d65 d66 d67 d68
        d69 d70 d71 d72 d73 d74 d75 d76 d77 d78 d79 d80 d81 d82 d83 d84 d85 d86 d87 d88 d89 d90
        d91 d92 d93 d94 d95 d96 d97 d98 d99;
    bool:
        e0 e1 e2 e3 e4 e5 e6 e7 e8 e9 e10 e11 e12 e13 e14 e15 e16 e17 e18 e19 e20 e21 e22 e23 e24
        e25 e26 e27 e28 e29 e30 e31 e32 e33 e34 e35 e36 e37 e38 e39 e40 e41 e42 e43 e44 e45 e46
        e47 e48 e49 e50 e51 e52 e53 e54 e55 e56 e57 e58 e59 e60 e61 e62 e63 e64 e65 e66 e67 e68
        e69 e70 e71 e72 e73 e74 e75 e76 e77 e78 e79 e80 e81 e82 e83 e84 e85 e86 e87 e88 e89 e90
        e91 e92 e93 e94 e95 e96 e97 e98 e99;
}

fn main() {
    common::print_heading("Cost of saving a tracked object");
    let audit = Audit::builder().store(NullStore).install().expect("a recorder");
    println!("Time of one save without that of the store; median of {BURSTS} bursts.\n");
    table::<Small>(&audit);
    table::<Medium>(&audit);
    table::<Large>(&audit);
    assert_eq!(audit.counters().dropped, 0, "nothing was dropped");
}

fn table<T: Object>(audit: &Audit) {
    let saves = (SAVES * 5 / T::FIELDS).max(100);
    let mut number = 0;
    let mut next = move || {
        number += 1;
        number
    };
    let object = T::new();
    let serialise =
        time(audit, saves, || drop(black_box(serde_json::to_string(black_box(&object)))));

    let mut manual = Manual::new(T::new());
    let manual_unchanged = time(audit, saves, || _ = black_box(manual.save()));
    let manual_changed = time(audit, saves, || {
        manual.object.change(next());
        black_box(manual.save());
    });

    let mut tracked = Tracked::loaded(T::new());
    let unchanged = time(audit, saves, || save(&mut tracked));
    let changed = time(audit, saves, || {
        tracked.change(next());
        save(&mut tracked);
    });

    let mut table = Table::new([&format!("object of {} fields", T::FIELDS), "ns", "ratio"]);
    for (name, time) in [
        ("serialise the object once", serialise),
        ("`Tracked::save`, unchanged", unchanged),
        ("manual code, unchanged", manual_unchanged),
        ("`Tracked::save`, one field changed", changed),
        ("manual code, one field changed", manual_changed),
    ] {
        table.row([name.to_owned(), format!("{time:.1}"), format!("{:.3}", time / serialise)]);
    }
    table.print();
}

fn save<T: Object>(tracked: &mut Tracked<T>) {
    tracked.save(|object| Ok::<_, Infallible>(_ = black_box(object))).expect("never fails");
}

/// Change tracking as many programs implement it.
struct Manual<T> {
    object: T,
    stored: T,
}

impl<T: Object> Manual<T> {
    fn new(object: T) -> Self {
        Self { stored: object.clone(), object }
    }

    /// Returns the changed fields as JSON text for a database column.
    fn save(&mut self) -> Option<String> {
        if self.object == self.stored {
            return None;
        }
        let (before, after) = (to_value(&self.stored), to_value(&self.object));
        let mut changes = serde_json::Map::new();
        if let (Value::Object(before), Value::Object(after)) = (before, after) {
            for ((name, before), (_, after)) in before.into_iter().zip(after) {
                if before != after {
                    changes.insert(name, serde_json::json!({"before": before, "after": after}));
                }
            }
        }
        self.stored = self.object.clone();
        Some(Value::Object(changes).to_string())
    }
}

fn to_value(object: &impl Serialize) -> Value {
    serde_json::to_value(object).expect("plain data")
}

/// Returns the median time of one run in nanoseconds.
fn time(audit: &Audit, runs: usize, mut run: impl FnMut()) -> f64 {
    let mut bursts: Vec<f64> = (0..=BURSTS)
        .map(|_| {
            let begin = Instant::now();
            (0..runs).for_each(|_| run());
            let time = begin.elapsed().as_nanos() as f64 / runs as f64;
            audit.flush().expect("the store accepts the records");
            time
        })
        // The first burst warms up caches and allocators.
        .skip(1)
        .collect();
    median(&mut bursts)
}
