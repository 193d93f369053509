//! Shapes 1 to 7: qualifiers and generics of the signature. Shape 4, `const fn`, is rejected; see
//! `tests/ui/fail`.

#![deny(warnings, unsafe_op_in_unsafe_fn, unused_mut, clippy::all, clippy::pedantic)]

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::marker::PhantomData;
use std::panic::catch_unwind;

use audited::{Outcome, audit_method, testing};
use serde::Serialize;
use serde_json::json;

use crate::summary::{
    Bad, ended_with_error, success, success_without_output, summary_of, summary_of_async,
};

#[test]
fn n01_an_async_fn_records_its_arguments_and_its_output() {
    #[audit_method]
    async fn add(left: u64, right: &u64, label: String) -> Result<u64, Bad> {
        tokio::task::yield_now().await;
        if label.is_empty() { Err(Bad) } else { Ok(left + *right) }
    }

    let summary = summary_of_async(async { assert_eq!(add(1, &2, "sum".into()).await, Ok(3)) });
    assert_eq!(summary, success("add", json!({"left": 1, "right": 2, "label": "sum"}), json!(3)));
    let summary = summary_of_async(async { assert_eq!(add(1, &2, String::new()).await, Err(Bad)) });
    let input = json!({"left": 1, "right": 2, "label": ""});
    assert_eq!(summary, ended_with_error("add", Outcome::Failure, input, "Bad: it is bad"));
}

#[test]
fn n01_action_and_method_name_the_function() {
    mod inner {
        #[audited::audit_method]
        pub(crate) async fn nothing() {}
    }

    let records = crate::summary::block_on(testing::capture_async(inner::nothing()));
    assert_eq!(records[0].action, concat!(module_path!(), "::inner::nothing"));
    let method =
        concat!(module_path!(), "::n01_action_and_method_name_the_function::inner::nothing");
    assert_eq!(records[0].method, method);
}

#[test]
fn n02_an_async_unsafe_fn_is_recorded() {
    /// # Safety
    ///
    /// `first` must be `values`' first element.
    #[audit_method(skip(first))]
    pub(crate) async unsafe fn read(first: *const u8, values: &[u8]) -> u8 {
        tokio::task::yield_now().await;
        // SAFETY: the caller upholds the contract.
        values[1] + unsafe { *first }
    }

    let summary = summary_of_async(async {
        let values = [3, 4];
        // SAFETY: it points to the first element.
        let future = unsafe { read(values.as_ptr(), &values) };
        assert_eq!(future.await, 7);
    });
    assert_eq!(summary, success("read", json!({"values": [3, 4]}), json!(7)));
}

// A C-variadic function (`extern "C" fn f(n: i32, ...)`) cannot be defined on stable Rust, so this
// test has none. The attribute rejects it with its own message.
#[test]
fn n03_functions_with_a_foreign_abi_are_recorded() {
    #[audit_method]
    extern "C" fn double(value: i32) -> i32 {
        value * 2
    }
    #[audit_method]
    #[unsafe(no_mangle)]
    extern "system" fn audited_shapes_triple(value: i32) -> i32 {
        value * 3
    }
    #[audit_method]
    extern "C-unwind" fn fails(value: i32) -> i32 {
        panic!("no {value}")
    }
    /// # Safety
    ///
    /// `value` must be valid for reads.
    #[audit_method(skip(value))]
    unsafe extern "C" fn read(value: *const i32) -> i32 {
        // SAFETY: the caller upholds the contract.
        unsafe { *value }
    }

    let callbacks: [extern "C" fn(i32) -> i32; 1] = [double];
    assert_eq!(summary_of(|| callbacks[0](4)), success("double", json!({"value": 4}), json!(8)));
    let summary = summary_of(|| audited_shapes_triple(4));
    assert_eq!(summary, success("audited_shapes_triple", json!({"value": 4}), json!(12)));
    let summary = summary_of(|| catch_unwind(|| fails(1)).unwrap_err());
    assert_eq!(
        summary,
        ended_with_error("fails", Outcome::Panic, json!({"value": 1}), "panic: no 1")
    );
    let value = 5;
    // SAFETY: a reference is valid for reads.
    assert_eq!(
        summary_of(|| unsafe { read(&raw const value) }),
        success("read", json!({}), json!(5))
    );
}

#[test]
fn n05_an_unsafe_fn_is_recorded() {
    /// # Safety
    ///
    /// `index` must be less than the length of `values`.
    #[audit_method]
    unsafe fn at(values: &[u8], index: usize) -> u8 {
        // SAFETY: the caller upholds the contract.
        unsafe { *values.get_unchecked(index) }
    }
    // SAFETY: the index is within the slice.
    let summary = summary_of(|| unsafe { at(&[7, 8], 1) });
    assert_eq!(summary, success("at", json!({"values": [7, 8], "index": 1}), json!(8)));
}

#[test]
fn n05_an_unsafe_fn_may_omit_unsafe_blocks() {
    /// # Safety
    ///
    /// `index` must be less than the length of `values`.
    #[audit_method]
    #[allow(unsafe_op_in_unsafe_fn)]
    unsafe fn at(values: &[u8], index: usize) -> u8 {
        *values.get_unchecked(index)
    }
    /// # Safety
    ///
    /// `index` must be less than the length of `values`.
    #[audit_method]
    #[allow(unsafe_op_in_unsafe_fn)]
    async unsafe fn later(values: &[u8], index: usize) -> u8 {
        tokio::task::yield_now().await;
        *values.get_unchecked(index)
    }

    let input = json!({"values": [7, 8], "index": 1});
    // SAFETY: the index is within the slice.
    assert_eq!(summary_of(|| unsafe { at(&[7, 8], 1) }), success("at", input.clone(), json!(8)));
    // SAFETY: the index is within the slice.
    let summary = summary_of_async(async { unsafe { later(&[7, 8], 1).await } });
    assert_eq!(summary, success("later", input, json!(8)));
}

struct Ledger<K, const WIDTH: usize> {
    rows: BTreeMap<K, [u8; WIDTH]>,
}

impl<K: Ord + Clone + Serialize, const WIDTH: usize> Ledger<K, WIDTH> {
    const EMPTY: [u8; WIDTH] = [0; WIDTH];

    #[audit_method(skip(self))]
    fn put<V>(&mut self, key: K, value: V) -> Option<usize>
    where
        V: Copy + Debug + Into<[u8; WIDTH]>,
    {
        self.rows.insert(key, value.into()).map(|before| before.len())
    }

    #[audit_method(skip(self))]
    async fn get<'k, Q>(&self, key: &'k Q) -> (Option<u8>, &'k Q)
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + Serialize + ?Sized,
    {
        let row = self.rows.get(key).unwrap_or(&Self::EMPTY);
        (row.first().copied(), key)
    }

    #[audit_method(skip(self))]
    fn same(&self) -> Self {
        Self { rows: self.rows.clone() }
    }
}

#[test]
fn n06_generics_where_clauses_and_const_generics_are_preserved() {
    let mut ledger = Ledger::<String, 2> { rows: BTreeMap::new() };
    assert_eq!(
        summary_of(|| ledger.put("a".to_owned(), [1, 2])),
        success("put", json!({"key": "a", "value": "[1, 2]"}), json!(null)),
    );
    assert_eq!(
        summary_of(|| ledger.put("a".to_owned(), [3, 4])),
        success("put", json!({"key": "a", "value": "[3, 4]"}), json!(2)),
    );
    let summary = summary_of_async(async { ledger.get("a").await });
    assert_eq!(summary, success("get", json!({"key": "a"}), json!([3, "a"])));

    let records = testing::capture(|| assert_eq!(ledger.same().rows.len(), 1));
    assert_eq!(records[0].action, concat!(module_path!(), "::same"));
    assert_eq!(records[0].method, concat!(module_path!(), "::Ledger::same"));
    let output = records[0].output.as_ref().expect("an output").to_value();
    let type_name = std::any::type_name::<Ledger<String, 2>>();
    assert_eq!(output, json!(format!("<{type_name}>")));
}

#[test]
fn n06_generic_parameters_that_no_argument_mentions_are_preserved() {
    #[audit_method]
    fn parse<T: std::str::FromStr + Serialize, const BASE: u32>(text: &str) -> Option<T>
    where
        T::Err: Display,
    {
        text[BASE as usize..].parse().ok()
    }
    #[audit_method]
    fn distinct<T, I>(items: I, _: PhantomData<T>) -> usize
    where
        I: IntoIterator<Item = T>,
        T: Eq + Hash,
    {
        items.into_iter().collect::<std::collections::HashSet<_>>().len()
    }

    let summary = summary_of(|| assert_eq!(parse::<u8, 2>("xx17"), Some(17)));
    assert_eq!(summary, success("parse", json!({"text": "xx17"}), json!(17)));
    // `I` is bound by neither `Serialize` nor `Debug`, although a vector implements both.
    let summary = summary_of(|| distinct(vec![1, 1, 2], PhantomData));
    assert_eq!(summary, success("distinct", json!({"items": "<alloc::vec::Vec<i32>>"}), json!(2)));
}

#[test]
fn n07_higher_ranked_bounds_are_preserved() {
    #[audit_method]
    fn each<F>(words: &[&str], pick: F) -> Vec<String>
    where
        F: for<'w> Fn(&'w str) -> &'w str,
    {
        words.iter().map(|word| pick(word).to_owned()).collect()
    }
    #[audit_method(skip(pick))]
    async fn one(word: &str, pick: for<'w> fn(&'w str) -> &'w str) -> usize {
        pick(word).len()
    }
    #[audit_method(skip(pick))]
    fn by_dyn(word: &str, pick: &dyn for<'w> Fn(&'w str) -> &'w str) -> usize {
        pick(word).len()
    }

    let records = testing::capture(|| each(&["ab", "cd"], |word| &word[1..]));
    let input = records[0].input.as_ref().expect("an input").to_value();
    assert_eq!(input["words"], json!(["ab", "cd"]));
    assert!(input["pick"].as_str().is_some_and(|pick| pick.ends_with("{{closure}}>")), "{input}");
    assert_eq!(*records[0].output.as_ref().expect("an output"), json!(["b", "d"]));
    let summary = summary_of_async(one("abc", |word| &word[1..]));
    assert_eq!(summary, success("one", json!({"word": "abc"}), json!(2)));
    let summary = summary_of(|| by_dyn("abc", &|word| &word[2..]));
    assert_eq!(summary, success("by_dyn", json!({"word": "abc"}), json!(1)));
}

#[test]
fn n07_impl_trait_arguments_are_recorded() {
    #[audit_method]
    fn total(
        prices: impl IntoIterator<Item = u32>,
        label: impl Into<String> + Serialize,
    ) -> String {
        format!("{}: {}", label.into(), prices.into_iter().sum::<u32>())
    }
    #[audit_method]
    async fn show(value: &(impl Display + Debug), call: &mut impl FnMut()) {
        call();
        assert_eq!(value.to_string(), "7");
    }
    #[audit_method(skip(f))]
    fn apply(f: fn(u8) -> u8, value: u8) -> u8 {
        f(value)
    }

    let summary = summary_of(|| total([1, 2], "sum"));
    let input = json!({"prices": "<[u32; 2]>", "label": "sum"});
    assert_eq!(summary, success("total", input, json!("sum: 3")));
    let mut called = 0;
    let records = crate::summary::block_on(testing::capture_async(async {
        show(&7, &mut || called += 1).await;
    }));
    assert_eq!(records[0].input.as_ref().expect("an input").to_value()["value"], json!("7"));
    assert_eq!(records[0].output, None);
    assert_eq!(called, 1);
    let summary = summary_of(|| apply(u8::reverse_bits, 1));
    assert_eq!(summary, success("apply", json!({"value": 1}), json!(128)));
}

#[test]
fn n07_a_function_that_returns_unit_has_no_output() {
    #[audit_method]
    fn quiet() {}
    #[audit_method]
    async fn quiet_later() {}

    assert_eq!(summary_of(quiet), success_without_output("quiet", json!({})));
    assert_eq!(summary_of_async(quiet_later()), success_without_output("quiet_later", json!({})));
}
