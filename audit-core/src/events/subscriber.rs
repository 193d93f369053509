//! [`Subscriber`]: captures the tracing events of calls in a program that has no subscriber of its
//! own.
//!
//! Nothing else sees the spans of calls there, so calls have no spans: an event finds its call by
//! the scope of the thread. A call gets a span id only when the program asks for the current span,
//! to carry it into a task or a thread. The call is in a table only while such a span exists. A
//! span that the program creates in a call stands for that call, because it may be carried, too.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Debug;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata};
use tracing_core::span::Current;
use tracing_core::subscriber::Interest;
use tracing_core::{Callsite, Kind, Level, LevelFilter};

use crate::events::call_span::{SPAN, TARGET};
use crate::events::write::write;
use crate::in_flight::CallShared;
use crate::scope::{self, LogTarget, Scope};
use crate::{capture, levels};

/// The number of parts of the table. Each has its own lock, so that threads seldom block each
/// other.
const SHARDS: usize = 16;

/// The id of all spans that are created outside of calls. They have no effect, also if they are
/// entered in a call.
const OUTSIDE_ID: u64 = u64::MAX;
/// The id of all spans that are created in a call but belong to none, such as those with `parent:
/// None`. Events in them are in no log.
const DETACHED_ID: u64 = u64::MAX - 1;

pub(super) struct Subscriber {
    carried: [Mutex<HashMap<u64, CarriedCall>>; SHARDS],
}

/// A call whose span the program holds.
struct CarriedCall {
    call: Arc<CallShared>,
    holders: usize,
}

thread_local! {
    /// The spans that this thread has entered, the innermost last. Each has the destination of
    /// events from before.
    static ENTERED: RefCell<Vec<(Id, LogTarget)>> = const { RefCell::new(Vec::new()) };
}

impl Subscriber {
    pub(super) fn new() -> Self {
        Self { carried: Default::default() }
    }

    fn hold(&self, id: &Id, call: Arc<CallShared>) {
        let mut shard = self.shard(id);
        shard.entry(id.into_u64()).or_insert(CarriedCall { call, holders: 0 }).holders += 1;
    }

    fn shard(&self, id: &Id) -> MutexGuard<'_, HashMap<u64, CarriedCall>> {
        let shard = &self.carried[id.into_u64() as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call whose span is `id`: a carried call, or the call of this thread.
    fn find(&self, id: &Id) -> Option<Arc<CallShared>> {
        if matches!(id.into_u64(), OUTSIDE_ID | DETACHED_ID) {
            return None;
        }
        let carried = self.shard(id).get(&id.into_u64()).map(|carried| carried.call.clone());
        carried.or_else(|| {
            scope::with(|scope| scope.log().filter(|call| call.has_scope_id(id)).cloned())
        })
    }
}

fn new_id() -> Id {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Id::from_u64(NEXT.fetch_add(1, Ordering::Relaxed))
}

impl tracing::Subscriber for Subscriber {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= levels::max_level() || is_warning(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(levels::max_level().max(LevelFilter::WARN))
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let call = match span.parent() {
            Some(id) => self.find(id),
            None if span.is_contextual() => scope::with(|scope| scope.log().cloned()),
            None => None,
        };
        let Some(call) = call else {
            let is_in_call = scope::with(|scope| scope.call.is_some());
            return Id::from_u64(if is_in_call { DETACHED_ID } else { OUTSIDE_ID });
        };
        let id = call.scope_id_or_insert(new_id);
        self.hold(&id, call);
        id
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if is_warning(event.metadata()) {
            return print(event);
        }
        if capture::in_progress() {
            return;
        }
        let call = match event.parent() {
            Some(id) => self.find(id),
            None if event.is_contextual() => scope::with(|scope| scope.log().cloned()),
            None => None,
        };
        if let Some(call) = call {
            write(&call, event);
        }
    }

    fn current_span(&self) -> Current {
        match scope::with(|scope| scope.log().map(|call| call.scope_id_or_insert(new_id))) {
            Some(id) => Current::new(id, &METADATA),
            None => Current::none(),
        }
    }

    fn clone_span(&self, id: &Id) -> Id {
        if let Some(call) = self.find(id) {
            self.hold(id, call);
        }
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut shard = self.shard(&id);
        let Some(carried) = shard.get_mut(&id.into_u64()) else { return false };
        carried.holders -= 1;
        if carried.holders > 0 {
            return false;
        }
        let last = shard.remove(&id.into_u64());
        // This may free the call, which must not happen under the lock.
        drop(shard);
        drop(last);
        true
    }

    fn enter(&self, id: &Id) {
        let target = match self.find(id) {
            Some(call) => LogTarget::Call(call),
            None if id.into_u64() == DETACHED_ID => LogTarget::None,
            None => return,
        };
        let before = scope::replace_log_target(target);
        let _ = ENTERED.try_with(|entered| entered.borrow_mut().push((id.clone(), before)));
    }

    fn exit(&self, id: &Id) {
        let before = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            let at = entered.iter().rposition(|(of, _)| of == id)?;
            let (_, before) = entered.remove(at);
            match entered.get_mut(at) {
                // A span that was entered later is still entered. Its exit restores what this span
                // replaced.
                Some((_, before_later)) => {
                    *before_later = before;
                    None
                }
                None => Some(before),
            }
        });
        // A call that has begun in the span, and still runs, keeps its events.
        let is_target = |scope: &Scope| match &scope.log {
            LogTarget::None => id.into_u64() == DETACHED_ID,
            LogTarget::InnermostCall => false,
            LogTarget::Call(call) => call.has_scope_id(id),
        };
        if let Ok(Some(before)) = before
            && scope::with(is_target)
        {
            scope::replace_log_target(before);
        }
    }
}

/// Whether the event is a warning of the audit itself. No other subscriber would show it.
fn is_warning(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET && metadata.is_event() && *metadata.level() <= Level::WARN
}

/// Writes a warning of the audit to standard error.
fn print(event: &Event<'_>) {
    struct Message(String);

    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            if field.name() == "message" {
                self.0 = format!("{value:?}");
            }
        }
    }

    let mut message = Message(String::new());
    event.record(&mut message);
    // `eprintln!` would panic if standard error is closed.
    let _ = writeln!(std::io::stderr(), "audited: {}", message.0);
}

/// The tracing callsite of the spans of calls.
struct CallSpanCallsite;

impl Callsite for CallSpanCallsite {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        &METADATA
    }
}

static METADATA: Metadata<'static> = tracing_core::metadata! {
    name: SPAN,
    target: TARGET,
    level: Level::ERROR,
    fields: &[],
    callsite: &CallSpanCallsite,
    kind: Kind::SPAN,
};
