//! An error type for calls that may be refused, and helpers for their tests.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll, Waker};
use std::time::Duration;

use audited::{Audit, Context, Refused};

use crate::gate::GatedStore;

#[derive(Debug, PartialEq)]
pub(crate) enum BankError {
    Empty,
    NotAudited(String),
}

impl From<Refused> for BankError {
    fn from(refused: Refused) -> Self {
        Self::NotAudited(refused.to_string())
    }
}

impl std::fmt::Display for BankError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::NotAudited(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for BankError {}

/// A recorder that writes to `store`, with a time limit that no test reaches.
pub(crate) fn build_recorder(store: &GatedStore) -> Audit {
    Audit::builder()
        .store(store.clone())
        .wait_limit(Duration::from_secs(60))
        .build()
        .expect("a recorder")
}

/// Runs `f` in a context of the actor alice and the recorder `audit`.
pub(crate) fn in_context_of<R>(audit: &Audit, f: impl FnOnce() -> R) -> R {
    Context::new().actor("alice").recorder(audit).scope(f)
}

/// The text of the error that a refused call returns.
#[track_caller]
pub(crate) fn refusal_text<T: std::fmt::Debug>(result: Result<T, BankError>) -> String {
    match result {
        Err(BankError::NotAudited(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Task::from_waker(Waker::noop()))
}

/// The beginning of the text of every refusal.
pub(crate) const REFUSAL_PREFIX: &str = "call refused: its audit intent could not be stored: ";
