//! Shape 75: the path of a function is the same in the catalogue and in its records.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use async_trait::async_trait;
use audited::{Record, Refused, audit_method, testing};

use crate::record_access::single_record;

#[audit_method]
fn free() {}

#[audit_method(action = "named")]
fn with_action<T: Debug, const N: usize>(values: [T; N]) -> usize {
    values.len()
}

#[audit_method]
async fn later() {}

#[audit_method]
fn boxed() -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async {})
}

#[audit_method]
fn future() -> impl Future<Output = u8> {
    async { 1 }
}

#[audit_method]
#[track_caller]
fn tracked() {}

#[audit_method]
fn opaque() -> impl Iterator<Item = u8> {
    0..1
}

#[audit_method(on_audit_failure = "refuse")]
fn refusable() -> Result<(), Refused> {
    Ok(())
}

#[audit_method]
fn r#raw() {}

pub(crate) struct Pair<A, B>(A, B);

pub(crate) trait Named<X> {
    fn name(&self);
    async fn name_later(&self);
}

impl<A: Clone, B> Pair<A, B> {
    #[audit_method(skip_all)]
    fn inherent(&self) {}

    #[audit_method(skip_all)]
    async fn inherent_later<C>(&self, _c: C) {}

    #[audit_method]
    fn associated() {}
}

impl<A, B> Named<Vec<A>> for Pair<A, B> {
    #[audit_method(skip_all)]
    fn name(&self) {}

    #[audit_method(skip_all)]
    async fn name_later(&self) {}
}

impl Named<fn(u8) -> u8> for BTreeMap<u8, Vec<u8>> {
    #[audit_method(skip_all)]
    fn name(&self) {}

    #[audit_method(skip_all)]
    async fn name_later(&self) {}
}

/// Implementations in another module than their type and their trait.
mod elsewhere {
    use super::*;

    impl<A> Pair<A, u8> {
        #[audit_method(skip_all)]
        pub(super) fn elsewhere(&self) {}
    }

    impl<A> Named<u8> for Pair<A, Option<A>> {
        #[audit_method(skip_all)]
        fn name(&self) {}

        #[audit_method(skip_all)]
        async fn name_later(&self) {}
    }

    impl Named<u8> for &[u8] {
        #[audit_method(skip_all)]
        fn name(&self) {}

        #[audit_method(skip_all)]
        async fn name_later(&self) {}
    }

    pub(super) mod deeper {
        #[audited::audit_method]
        pub(crate) fn free() {}
    }
}

#[async_trait]
trait Service {
    async fn serve(&self);
}

struct Server;

#[async_trait]
impl Service for Server {
    #[audit_method(skip_all)]
    async fn serve(&self) {}
}

fn outer<T>(_: T) {
    #[audit_method]
    fn inner() {}

    struct Local;

    impl Drop for Local {
        #[audit_method(skip_all)]
        fn drop(&mut self) {}
    }

    inner();
    drop(Local);
    let closure = || {
        #[audit_method]
        fn in_closure() {}
        in_closure();
    };
    closure();
}

macro_rules! generate {
    ($module:ident, $name:ident, $ty:ty) => {
        mod $module {
            #[::audited::audit_method]
            pub(super) fn $name() {}

            impl super::Named<u64> for $ty {
                #[::audited::audit_method(skip_all)]
                fn name(&self) {}

                #[::audited::audit_method(skip_all)]
                async fn name_later(&self) {}
            }
        }
    };
}

generate!(generated, by_macro, super::Server);

#[tokio::test]
async fn n75_catalogue_and_records_have_the_same_paths() {
    let pair = Pair(1_u16, 2_u8);
    let records = testing::capture_async(async {
        free();
        with_action([1, 2]);
        later().await;
        boxed().await;
        future().await;
        tracked();
        opaque().count();
        refusable().unwrap();
        r#raw();
        pair.inherent();
        pair.inherent_later('c').await;
        <Pair<u8, u8>>::associated();
        Named::<Vec<u16>>::name(&pair);
        Named::<Vec<u16>>::name_later(&pair).await;
        BTreeMap::new().name();
        BTreeMap::new().name_later().await;
        pair.elsewhere();
        Named::<u8>::name(&Pair(1, Some(2)));
        Named::<u8>::name_later(&Pair(1, Some(2))).await;
        Named::<u8>::name(&&[1][..]);
        Named::<u8>::name_later(&&[1][..]).await;
        elsewhere::deeper::free();
        Server.serve().await;
        outer(1);
        outer("text");
        generated::by_macro();
        Named::<u64>::name(&Server);
        Named::<u64>::name_later(&Server).await;
    })
    .await;
    assert_eq!(records.len(), 32);
    let catalogue = audited::catalogue();
    let known: BTreeSet<(&str, &str)> = catalogue.actions().collect();
    for Record { action, method, .. } in &records {
        assert!(
            known.contains(&(&**action, &**method)),
            "`{method}` ({action}) is not in {known:#?}"
        );
    }
    let here = module_path!();
    let method = |at: usize| records[at].method.replace(here, "paths");
    assert_eq!(method(12), "<paths::Pair as paths::Named>::name");
    assert_eq!(method(16), "paths::Pair::elsewhere");
    assert_eq!(method(17), "<paths::Pair as paths::Named>::name");
    assert_eq!(method(19), "<&[u8] as paths::Named>::name");
    assert_eq!(method(21), "paths::elsewhere::deeper::free");
    assert_eq!(method(22), "<paths::Server as paths::Service>::serve");
    assert_eq!(method(23), "paths::outer::inner");
}

/// Calls have the path for the type on which they are made. The catalogue can't know the types.
trait Default {
    #[audit_method(skip_all)]
    fn default_method(&self) {}
    fn required(&self);
}

impl<T: Copy> Default for T {
    #[audit_method(skip_all)]
    fn required(&self) {}
}

#[test]
fn n75_a_method_of_many_types_is_recorded_with_its_type() {
    let here = module_path!();
    let in_catalogue = |end: &str| {
        let catalogue = audited::catalogue();
        let found = catalogue.actions().find(|(action, _)| action.ends_with(end));
        found.unwrap().1.replace(here, "paths")
    };
    let method = single_record(|| 1_u8.default_method()).method.replace(here, "paths");
    assert_eq!(method, "<u8 as paths::Default>::default_method");
    assert_eq!(in_catalogue("::default_method"), "paths::Default::default_method");
    let method = single_record(|| 1_u8.required()).method.replace(here, "paths");
    assert_eq!(method, "<u8 as paths::Default>::required");
    assert_eq!(in_catalogue("::required"), "<_ as paths::Default>::required");
}
