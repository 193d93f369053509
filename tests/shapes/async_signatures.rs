//! What an `async fn` promises, and keeps under the attribute: its captures, drops, traits and lints.

#![deny(warnings, unused_must_use, unfulfilled_lint_expectations, clippy::all, clippy::pedantic)]
// These lints object to the shapes under test, which are intentional.
#![allow(clippy::needless_pass_by_value, clippy::unused_async)]

use std::cell::RefCell;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

use audited::{Outcome, audit_method, testing};
use serde_json::json;

use crate::record_access::{find_record, input, only_record, output};

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

struct Page<'p>(&'p str);

impl Page<'_> {
    /// The future captures lifetimes that the output does not name.
    #[audit_method(skip(self))]
    async fn count(&self, word: &str, more: &[&str]) -> usize {
        tokio::task::yield_now().await;
        self.0.matches(word).count() + more.len()
    }
    #[audit_method(skip(self))]
    async fn first(&self, _word: &str) -> Option<&str> {
        tokio::task::yield_now().await;
        self.0.split(' ').next()
    }
}

#[audit_method]
async fn longest<'w, const N: usize>(words: [&'w str; N], other: &str) -> Result<&'w str, String> {
    tokio::task::yield_now().await;
    words.into_iter().max_by_key(|word| word.len()).ok_or_else(|| other.to_owned())
}

#[test]
fn an_async_fn_captures_every_lifetime() {
    let text = "a b a".to_owned();
    let page = Page(&text);
    let records = testing::capture(|| {
        let future = page.count("a", &["c"]);
        assert_eq!(block_on(future), 3);
        let first = {
            let word = "b".to_owned();
            block_on(page.first(&word))
        };
        assert_eq!(first, Some("a"));
        assert_eq!(block_on(longest(["a", "bc"], "x")), Ok("bc"));
        assert_eq!(block_on(longest([], "x")), Err("x".to_owned()));
    });
    let [count, first, long, none] = &records[..] else { panic!("four records, got {records:#?}") };
    assert_eq!((input(count), output(count)), (json!({"word": "a", "more": ["c"]}), json!(3)));
    assert_eq!((output(first), output(long)), (json!("a"), json!("bc")));
    assert_eq!(none.outcome, Outcome::Failure);
}

struct Logged(Rc<RefCell<Vec<u8>>>, u8);

impl Drop for Logged {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
    }
}

macro_rules! drops {
    ($name:ident $(, #[$attr:meta])*) => {
        $(#[$attr])*
        async fn $name(a: Logged, _: Logged, (b, _): (Logged, Logged), _c: Logged, mut d: Logged) -> u8 {
            tokio::task::yield_now().await;
            d.1 += 10;
            a.1 + b.1
        }
    };
}
drops!(bare);
drops!(all, #[audit_method(skip_all)]);
drops!(some, #[audit_method(skip(a, d), redact(_c))]);

#[test]
fn a_future_drops_its_arguments_in_the_order_of_the_bare_function() {
    fn order<F: Future<Output = u8>>(
        f: impl Fn(Logged, Logged, (Logged, Logged), Logged, Logged) -> F,
        run: impl Fn(F),
    ) -> Vec<u8> {
        let log = Rc::default();
        let new = |n| Logged(Rc::clone(&log), n);
        run(f(new(1), new(2), (new(3), new(4)), new(5), new(6)));
        log.take()
    }
    fn cancel<F: Future>(future: F) {
        let mut future = Box::pin(future);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    macro_rules! orders {
        ($run:expr) => {
            let expected = order(bare, $run);
            assert_eq!((order(all, $run), order(some, $run)), (expected.clone(), expected));
        };
    }
    let check = || {
        orders!(drop);
        orders!(cancel);
        orders!(|future| assert!(block_on(future) > 0));
    };
    check();
    testing::capture(check);
}

/// A trait that does not say `async`.
trait Store {
    fn load(&self, key: u8) -> impl Future<Output = u8> + Send;
    #[audit_method(skip(self))]
    async fn load_all(&self) -> u8 {
        self.load(1).await + self.load(2).await
    }
}

struct Memory;

impl Store for Memory {
    #[audit_method(skip(self))]
    async fn load(&self, key: u8) -> u8 {
        tokio::task::yield_now().await;
        key
    }
    async fn load_all(&self) -> u8 {
        self.load(3).await
    }
}

struct Default_;

impl Store for Default_ {
    async fn load(&self, key: u8) -> u8 {
        key
    }
}

#[test]
fn async_methods_implement_traits_and_are_implemented() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    fn generic(store: &impl Store) -> u8 {
        block_on(send(store.load(4)))
    }
    let records = testing::capture(|| {
        assert_eq!(generic(&Memory), 4);
        assert_eq!(block_on(Memory.load_all()), 3);
        assert_eq!(block_on(Default_.load_all()), 3);
    });
    assert_eq!(records.len(), 3);
    assert_eq!(output(find_record(&records, "load_all")), json!(3));
}

#[must_use]
#[audit_method]
async fn must_be_used() -> u8 {
    1
}

#[audit_method]
async fn may_fail() -> Result<u8, String> {
    Ok(1)
}

#[test]
fn unused_futures_and_outputs_are_still_reported() {
    block_on(async {
        #[expect(unused_must_use)]
        must_be_used().await;
        #[expect(unused_must_use)]
        may_fail().await;
        #[expect(unused_must_use)]
        may_fail();
        #[expect(unused_must_use)]
        must_be_used();
    });
}

#[audit_method]
async fn whole(n: u8) -> u8 {
    n
}

/// # Safety
///
/// `n` must be 1.
#[audit_method]
async unsafe fn not_safe(n: u8) -> u8 {
    n
}

#[test]
fn futures_are_unwind_safe_and_functions_are_values() {
    fn unwind_safe<T: UnwindSafe + RefUnwindSafe + Sync + 'static>(value: T) -> T {
        value
    }
    async fn twice(f: impl AsyncFn(u8) -> u8) -> u8 {
        f(1).await + f(2).await
    }
    let records = testing::capture(|| {
        assert_eq!(block_on(unwind_safe(whole(3))), 3);
        assert_eq!(block_on(twice(whole)), 3);
        // SAFETY: it is 1.
        assert_eq!(block_on(unsafe { not_safe(1) }), 1);
    });
    assert_eq!(records.len(), 4);
    assert_eq!(only_record(testing::capture(|| block_on(whole(1)))).method, records[0].method);
}
