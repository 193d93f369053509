//! Shapes 50 to 52: strict lints. Neither rustc nor Clippy may warn about the expansion.

#![deny(
    warnings,
    unused_qualifications,
    unused_mut,
    unused_variables,
    unused_braces,
    unused_parens,
    unreachable_code,
    unsafe_op_in_unsafe_fn,
    elided_lifetimes_in_paths,
    let_underscore_drop,
    single_use_lifetimes,
    trivial_casts,
    unused_lifetimes,
    unused_results,
    variant_size_differences
)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::as_conversions,
    clippy::default_numeric_fallback,
    clippy::else_if_without_else,
    clippy::exhaustive_enums,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::let_underscore_must_use,
    clippy::let_underscore_untyped,
    clippy::mem_forget,
    clippy::multiple_inherent_impl,
    clippy::panic,
    clippy::panic_in_result_fn,
    clippy::pattern_type_mismatch,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::semicolon_outside_block,
    clippy::shadow_reuse,
    clippy::shadow_same,
    clippy::shadow_unrelated,
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    clippy::use_debug
)]

use std::collections::BTreeMap;
use std::pin::Pin;

use audited::{audit_method, testing};

#[audit_method]
fn nothing() {}

#[audit_method(action = "unit", fields(size = words.len()), reason = "a test")]
fn unit(words: &[&str]) {
    audited::note("words", words.len());
}

#[audit_method(target = ("word", word), debug(map), redact(secret))]
fn result(word: &str, map: &BTreeMap<u32, u32>, secret: u32) -> Result<usize, std::fmt::Error> {
    if map.contains_key(&secret) {
        return Err(std::fmt::Error);
    }
    let found = map.get(&0).copied().ok_or(std::fmt::Error)?;
    Ok(word.len() + usize::try_from(found).unwrap_or(0))
}

#[audit_method]
fn option<T: Copy>(values: &[T], (at, _): (usize, u8), mut n: u32) -> Option<(T, u32)> {
    n += 1;
    values.get(at).map(|value| (*value, n))
}

#[audit_method]
async fn later(word: String, mut n: usize) -> Result<String, std::fmt::Error> {
    if word.is_empty() {
        return Err(std::fmt::Error);
    }
    n += 1;
    tokio::task::yield_now().await;
    Ok(word.repeat(n))
}

#[audit_method]
async fn later_nothing(word: &str) {
    tokio::task::yield_now().await;
    audited::note("word", word);
}

#[audit_method]
fn boxed(n: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    Box::pin(async move { n })
}

#[audit_method]
fn opaque(n: u32) -> impl Iterator<Item = u32> {
    0..n
}

#[audit_method]
fn future(n: u32) -> impl Future<Output = u32> + Send {
    std::future::ready(n)
}

/// Diverges, which must not cause a warning.
#[audit_method]
fn diverges(words: &[&str]) -> ! {
    std::process::exit(i32::from(words.is_empty()))
}

struct Counter {
    n: u32,
}

trait Counts {
    fn count(&mut self, by: u32) -> &mut u32;
    async fn count_later(self, by: u32) -> Self;
}

impl Counts for Counter {
    #[audit_method(skip(self))]
    fn count(&mut self, by: u32) -> &mut u32 {
        self.n += by;
        &mut self.n
    }

    #[audit_method(skip(self))]
    async fn count_later(mut self, by: u32) -> Self {
        *self.count(by) += 1;
        self
    }
}

#[audit_method]
/// # Safety
///
/// `n` must be readable.
unsafe fn reads(n: *const u32) -> u32 {
    // SAFETY: the caller upholds the contract.
    unsafe { *n }
}

#[audit_method]
#[track_caller]
fn tracked(n: u32) -> u32 {
    n
}

#[audit_method]
#[expect(dead_code, reason = "51: the function is never called, and the lint must still see that")]
fn dead(n: u32) -> u32 {
    n
}

#[audit_method]
#[expect(unused_variables, reason = "51: the lint must see the body")]
fn unused(n: u32) {}

#[tokio::test]
async fn n50_n51_audited_functions_cause_no_warning() {
    let records = testing::capture_async(async {
        nothing();
        unit(&["a"]);
        assert_eq!(result("a", &BTreeMap::from([(0, 2)]), 3), Ok(3));
        assert_eq!(option(&['a'], (0, 1), 1), Some(('a', 2)));
        assert_eq!(later("ab".to_owned(), 1).await.as_deref(), Ok("abab"));
        later_nothing("a").await;
        assert_eq!(boxed(1).await + future(2).await, 3);
        assert_eq!(opaque(3).sum::<u32>(), 3);
        assert_eq!(Counter { n: 1 }.count_later(2).await.n, 4);
        let seven = 7;
        // SAFETY: the pointer comes from a reference.
        assert_eq!(unsafe { reads(&raw const seven) }, 7);
        assert_eq!(tracked(5), 5);
        unused(1);
    })
    .await;
    assert_eq!(records.len(), 14);
    assert!(size_of_val(&diverges) == 0);
}
