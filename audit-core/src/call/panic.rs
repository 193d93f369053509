//! What a panic says: its message from the payload, its place and backtrace from a panic hook.

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

/// Panics kept for each thread: one, and those that began in a `Drop` while it unwound.
const KEPT: usize = 4;

/// What the hook saw of a panic on this thread.
struct Seen {
    /// A call is concerned only by what it saw itself.
    at: Instant,
    payload: TypeId,
    message: Option<String>,
    location: Option<String>,
    backtrace: Arc<Backtrace>,
}

thread_local! {
    /// The latest last.
    static SEEN: RefCell<Vec<Seen>> = const { RefCell::new(Vec::new()) };
}

/// Puts a hook before the one that is there, once for the process.
///
/// It only looks: the hook that was there runs as before, except for panics of a `Serialize` or `Debug`
/// while it is being captured, which are recorded and never reach the program.
pub(crate) fn install_hook() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    // A thread that is panicking may not change the hook: the next recorder will.
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
    // Outside any call nobody will ask, and a backtrace is not free.
    if scope::with(|scope| scope.call.is_none()) {
        return;
    }
    let seen = Seen {
        at: Instant::now(),
        payload: (*info.payload()).type_id(),
        message: message(info.payload()).map(short),
        location: info.location().map(ToString::to_string),
        backtrace: Arc::new(Backtrace::force_capture()),
    };
    let _ = SEEN.try_with(|all| {
        let mut all = all.borrow_mut();
        if all.len() == KEPT {
            all.remove(0);
        }
        all.push(seen);
    });
}

fn message(payload: &(dyn Any + Send)) -> Option<&str> {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// As much of a message as is recorded.
fn short(message: &str) -> String {
    capture::bounded(MESSAGE, format_args!("{message}")).text
}

/// The error and the backtrace of the panic with `payload` in a call that began at `since`.
///
/// The latest panic that the hook saw need not be this one: one more may have begun, and been caught, in a
/// `Drop` while this one unwound; and a panic that was raised again (`resume_unwind`) runs no hook. So what
/// the hook saw counts only if it had the same payload, as far as can be told: text by its words, anything
/// else by its type, and that only for the latest.
pub(crate) fn describe(payload: &(dyn Any + Send), since: Instant) -> (ErrorInfo, Option<String>) {
    let (kind, message) = ((*payload).type_id(), message(payload).map(short));
    let (location, backtrace) = SEEN
        .try_with(|all| {
            let all = all.borrow();
            let among = if message.is_some() { KEPT } else { 1 };
            let is_this =
                |seen: &&Seen| seen.at >= since && seen.payload == kind && seen.message == message;
            all.iter()
                .rev()
                .take(among)
                .find(is_this)
                .map(|seen| (seen.location.clone(), Some(seen.backtrace.clone())))
        })
        .ok()
        .flatten()
        .unwrap_or_default();
    let text = message.as_deref().unwrap_or(NO_TEXT);
    (info(text, location), backtrace.map(|backtrace| traceback(&backtrace)))
}

/// The error and the backtrace of the panic that the hook saw last since `since`.
pub(crate) fn describe_latest(since: Instant) -> (ErrorInfo, Option<String>) {
    SEEN.try_with(|all| {
        all.borrow().last().filter(|seen| seen.at >= since).map(|seen| {
            let text = seen.message.as_deref().unwrap_or(NO_TEXT);
            (info(text, seen.location.clone()), Some(traceback(&seen.backtrace)))
        })
    })
    .ok()
    .flatten()
    .unwrap_or_else(|| (info("a panic of which nothing is known", None), None))
}

/// Bytes of a panic's message and of its backtrace.
const MESSAGE: usize = 16 * 1024;
const TRACEBACK: usize = 64 * 1024;

/// The backtrace from the place of the panic on: what lies above is the hook, and the standard library on its
/// way to it.
fn traceback(backtrace: &Backtrace) -> String {
    let text = capture::bounded(TRACEBACK, format_args!("{backtrace}")).text;
    let mut rest = text.as_str();
    if let Some(at) = rest.find("rust_begin_unwind") {
        rest = &rest[at..];
        // To the next line that begins a frame: `  12: name`; the place stands in a line of its own.
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

const NO_TEXT: &str = "a panic whose payload is no text";

fn info(message: &str, location: Option<String>) -> ErrorInfo {
    ErrorInfo::new("panic", message, Vec::new(), location)
}
