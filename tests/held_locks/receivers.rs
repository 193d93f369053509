//! A receiver is serialised if its type owns no lock, as far as the type shows.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, RwLock};

use audited::audit_method;
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::record_access::{input, output};
use crate::{A_LOCK, soon};

#[derive(Serialize)]
struct Cache {
    hits: Mutex<u64>,
}

impl Cache {
    #[audit_method]
    fn bump(&self, hits: &mut u64) -> &Self {
        *hits += 1;
        self
    }

    #[audit_method(skip_all, fields(cache = self))]
    fn by_request(&self) {}
}

#[test]
fn a_receiver_with_a_lock_is_recorded_by_request() {
    let record = soon(|| {
        let cache = Cache { hits: Mutex::new(0) };
        cache.bump(&mut cache.hits.lock().expect("not poisoned"));
    });
    assert_eq!(input(&record), json!({"self": "<&held_locks::receivers::Cache>", "hits": 0}));
    assert_eq!(output(&record), json!({"hits": A_LOCK}));
    let record = soon(|| Cache { hits: Mutex::new(0) }.by_request());
    let context = record.context.as_ref().expect("a field").to_value();
    assert_eq!(context, json!({"extra": {"cache": {"hits": A_LOCK}}}));
}

/// Its `Serialize` waits for a lock that no serializer sees.
struct Hidden(Mutex<u64>);

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.lock().expect("not poisoned").serialize(serializer)
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Transparent {
    lock: RwLock<u64>,
}

#[derive(Serialize, Debug)]
struct Flat {
    #[serde(flatten)]
    parts: Mutex<BTreeMap<u8, u8>>,
}

impl Hidden {
    #[audit_method]
    fn shared(&self) {}

    #[audit_method]
    fn counted(self: Arc<Self>) {}
}

impl Transparent {
    #[audit_method]
    fn shared(&self) {}
}

impl Flat {
    #[audit_method]
    fn shared(&self) {}
}

#[test]
fn a_receiver_whose_own_serialize_locks_does_not_block() {
    let record = soon(|| {
        let hidden = Arc::new(Hidden(Mutex::new(0)));
        let _guard = hidden.0.lock();
        hidden.shared();
    });
    assert_eq!(input(&record), json!({"self": "<&held_locks::receivers::Hidden>"}));
    let record = soon(|| {
        let hidden = Arc::new(Hidden(Mutex::new(0)));
        let _guard = hidden.0.lock();
        hidden.clone().counted();
    });
    assert_eq!(input(&record)["self"], json!("<alloc::sync::Arc<held_locks::receivers::Hidden>>"));
    let record = soon(|| {
        let transparent = Transparent { lock: RwLock::new(0) };
        let _guard = transparent.lock.write();
        transparent.shared();
    });
    assert_eq!(input(&record), json!({"self": "<&held_locks::receivers::Transparent>"}));
    let record = soon(|| {
        let flat = Flat { parts: Mutex::default() };
        let _guard = flat.parts.lock();
        flat.shared();
    });
    let text = "Flat { parts: Mutex { data: \"<locked>\", poisoned: false, .. } }";
    assert_eq!(input(&record), json!({"self": text}));
}

#[test]
fn values_that_own_no_lock_are_serialised_as_receivers() {
    #[derive(Clone, Serialize)]
    struct Cloned(u8);
    #[derive(PartialEq, Serialize)]
    struct Compared(u8);
    #[derive(Serialize)]
    struct Neither(u8);
    impl Cloned {
        #[audit_method]
        fn shared(&self) {}
    }
    impl Compared {
        #[audit_method]
        fn shared(&self) {}
    }
    impl Neither {
        #[audit_method]
        fn shared(&self) {}
        #[audit_method]
        fn exclusive(&mut self) {
            self.0 += 1;
        }
        #[audit_method]
        fn owned(self) {}
    }
    assert_eq!(input(&soon(|| Cloned(1).shared())), json!({"self": 1}));
    assert_eq!(input(&soon(|| Compared(1).shared())), json!({"self": 1}));
    let name = json!({"self": format!("<&{}>", std::any::type_name::<Neither>())});
    assert_eq!(input(&soon(|| Neither(1).shared())), name);
    assert_eq!(input(&soon(|| Neither(1).exclusive())), json!({"self": 1}));
    assert_eq!(input(&soon(|| Neither(1).owned())), json!({"self": 1}));
}
