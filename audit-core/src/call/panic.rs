//! Describes panics: the message comes from the payload, location and backtrace from a panic hook.

use std::any::{Any, TypeId};
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use audit_record::ErrorInfo;

use crate::{capture, scope};

/// Limit of the panics that a thread remembers: the current one, and those in a `Drop` while it
/// unwinds.
const MAX_PANICS: usize = 4;

/// Limits of a panic's message and of its backtrace, in bytes.
const MAX_MESSAGE_BYTES: usize = 16 * 1024;
const MAX_TRACEBACK_BYTES: usize = 64 * 1024;
/// The message of a panic whose payload is neither `&'static str` nor `String`.
const NO_TEXT: &str = "a panic whose payload is not text";

/// What the hook saw of a panic.
struct HookedPanic {
    /// A call considers only the panics since its begin.
    at: Instant,
    payload: TypeId,
    message: Option<String>,
    location: Option<String>,
    backtrace: Arc<Backtrace>,
}

thread_local! {
    /// The latest panics of this thread, the last one at the end.
    static PANICS: RefCell<Vec<HookedPanic>> = const { RefCell::new(Vec::new()) };
}

/// Installs a panic hook in front of the current one, once for the process.
///
/// It only stores the panic; the previous hook runs as before. Panics of a `Serialize` or `Debug`
/// while a value is captured are an exception: they are recorded and never reach the program.
pub(crate) fn install_hook() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    // A panicking thread must not change the hook. The next recorder will install it.
    if thread::panicking() || INSTALLED.swap(true, Ordering::Relaxed) {
        return;
    }
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if capture::in_progress() {
            return;
        }
        remember(info);
        before(info);
    }));
}

fn remember(info: &PanicHookInfo<'_>) {
    // Outside of calls nothing uses it, and a backtrace is expensive.
    if scope::with(|scope| scope.call.is_none()) {
        return;
    }
    let panic = HookedPanic {
        at: Instant::now(),
        payload: (*info.payload()).type_id(),
        message: message(info.payload()).map(limited),
        location: info.location().map(ToString::to_string),
        backtrace: Arc::new(Backtrace::force_capture()),
    };
    let _ = PANICS.try_with(|panics| {
        let mut panics = panics.borrow_mut();
        if panics.len() == MAX_PANICS {
            panics.remove(0);
        }
        panics.push(panic);
    });
}

fn message(payload: &(dyn Any + Send)) -> Option<&str> {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// The message, cut at its limit.
fn limited(message: &str) -> String {
    capture::format_limited(MAX_MESSAGE_BYTES, format_args!("{message}")).text
}

/// The error and the backtrace of the panic with `payload`, in a call that began at `since`.
///
/// The latest panic that the hook saw may be another one: a `Drop` may have panicked while this
/// panic unwound, and `resume_unwind` runs no hook. So a remembered panic counts only if its
/// payload is the same: the same text, or else the same type. A type is compared only with the
/// latest panic.
pub(crate) fn describe(payload: &(dyn Any + Send), since: Instant) -> (ErrorInfo, Option<String>) {
    let (kind, message) = ((*payload).type_id(), message(payload).map(limited));
    let (location, backtrace) = PANICS
        .try_with(|panics| {
            let panics = panics.borrow();
            let considered = if message.is_some() { MAX_PANICS } else { 1 };
            let is_same = |panic: &&HookedPanic| {
                panic.at >= since && panic.payload == kind && panic.message == message
            };
            panics
                .iter()
                .rev()
                .take(considered)
                .find(is_same)
                .map(|panic| (panic.location.clone(), Some(panic.backtrace.clone())))
        })
        .ok()
        .flatten()
        .unwrap_or_default();
    let text = message.as_deref().unwrap_or(NO_TEXT);
    (info(text, location), backtrace.map(|backtrace| traceback(&backtrace)))
}

/// The error and the backtrace of the latest panic since `since` on this thread.
pub(crate) fn describe_latest(since: Instant) -> (ErrorInfo, Option<String>) {
    PANICS
        .try_with(|panics| {
            panics.borrow().last().filter(|panic| panic.at >= since).map(|panic| {
                let text = panic.message.as_deref().unwrap_or(NO_TEXT);
                (info(text, panic.location.clone()), Some(traceback(&panic.backtrace)))
            })
        })
        .ok()
        .flatten()
        .unwrap_or_else(|| (info("a panic without known details", None), None))
}

/// The backtrace from the location of the panic on. The frames above belong to the hook and to the
/// standard library.
fn traceback(backtrace: &Backtrace) -> String {
    let text = capture::format_limited(MAX_TRACEBACK_BYTES, format_args!("{backtrace}")).text;
    let mut rest = text.as_str();
    if let Some(at) = rest.find("rust_begin_unwind") {
        rest = &rest[at..];
        // Skip to the next frame, a line like `  12: name`. The location is in a line of its own.
        let is_frame = |line: &str| line.trim_start().starts_with(|c: char| c.is_ascii_digit());
        let skipped: usize = rest
            .split_inclusive('\n')
            .enumerate()
            .take_while(|(number, line)| *number == 0 || !is_frame(line))
            .map(|(_, line)| line.len())
            .sum();
        rest = &rest[skipped..];
    }
    if rest.is_empty() { text } else { rest.to_owned() }
}

fn info(message: &str, location: Option<String>) -> ErrorInfo {
    ErrorInfo::new("panic", message, Vec::new(), location)
}
