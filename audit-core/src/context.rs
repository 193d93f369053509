//! [`Context`]: who does it, for whom, from where, as part of what.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use audit_record::{CorrelationId, Json, Truncation};
use pin_project_lite::pin_project;
use serde::Serialize;

use crate::capture::{self, Rules};
use crate::current;
use crate::in_flight::{CallShared, ContextData};
use crate::recorder::RecorderRef;
use crate::scope::{self, Log, Scope};

/// What is said of every call made in a scope: who, for whom, from where, as part of what.
///
/// A context is immutable: each setter gives a new one. It applies inside [`scope`](Context::scope) and
/// while a future given to [`wrap`](Context::wrap) is polled, and nowhere else; what was in place before
/// is back in place afterwards, also when the scope is left by a panic. It is carried into another thread
/// or task only by hand: take [`Context::current`] and use it there.
///
/// `Context::new()` says nothing; all parts are optional, and a call without any context is recorded too.
/// Start from [`Context::current`] to add to what is in place.
///
/// ```
/// use audited::{Context, testing};
///
/// let records = testing::capture(|| {
///     Context::new().actor("alice").on_behalf_of("bob").scope(|| {
///         audited::execute("pay invoice", "bank::pay", (), || ());
///     });
///     audited::execute("clean up", "bank::clean_up", (), || ());
/// });
/// assert_eq!(records[0].actor.as_deref(), Some("alice"));
/// assert_eq!(records[0].on_behalf_of.as_deref(), Some("bob"));
/// assert_eq!(records[1].actor, None);
/// ```
#[derive(Clone, Default)]
#[must_use = "a context applies only inside `scope` or `wrap`"]
pub struct Context {
    data: Arc<ContextData>,
    /// The call in which [`Context::current`] was taken. Not in `data`, which calls keep: where each call is made under
    /// the context of the one before, none of them would ever be freed.
    parent: Option<Arc<CallShared>>,
}

macro_rules! setters {
    ($( $(#[$meta:meta])* $name:ident($($into:tt)*) $make:expr; )*) => {$(
        $(#[$meta])*
        pub fn $name(self, $name: $($into)*) -> Self {
            let make = $make;
            self.with(|data| data.$name = Some(make($name)))
        }
    )*};
}

impl Context {
    /// A context that says nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The context in place here, to carry it into another thread or task.
    ///
    /// Calls made under it there become children of the call in which it was taken.
    ///
    /// ```
    /// use audited::{Context, execute, testing};
    ///
    /// let records = testing::capture(|| {
    ///     execute("import", "shop::import", (), || {
    ///         let context = Context::current();
    ///         std::thread::scope(|threads| {
    ///             threads.spawn(|| {
    ///                 context.scope(|| execute("import row", "shop::import_row", (), || ()));
    ///             });
    ///         });
    ///     });
    /// });
    /// assert_eq!(records[0].action, "import row");
    /// assert_eq!(records[0].parent_id, Some(records[1].id));
    /// ```
    pub fn current() -> Self {
        let (data, parent) = scope::with(|scope| (scope.context().cloned(), scope.call.clone()));
        Self { data: data.unwrap_or_default(), parent }
    }

    setters! {
        /// Who does it: a user, a machine, a job.
        actor(impl Into<Arc<str>>) Into::into;
        /// With whose rights, if not the actor's own: the one impersonated.
        on_behalf_of(impl Into<Arc<str>>) Into::into;
        /// From which address: `.ip([192, 0, 2, 7])`, or an `IpAddr`.
        ip(impl Into<IpAddr>) Into::into;
        /// At which site; overrides the recorder's.
        site(impl Into<Arc<str>>) Into::into;
        /// By which service; overrides the recorder's.
        service(impl Into<Arc<str>>) Into::into;
        /// What joins the records made under this context. Without it, the outermost call's id does.
        correlation_id(impl Into<CorrelationId>) Into::into;
        /// The id of the request served.
        request_id(impl Into<String>) Into::into;
        /// The session's name. Give no value that would let its reader into the session.
        session(impl Into<String>) Into::into;
        /// The client's own name for itself.
        user_agent(impl Into<String>) Into::into;
        /// What was asked for. A password in it, and parameters whose name is to be masked, are masked.
        url(impl Into<String>) Into::into;
    }

    /// More about the actor: roles, department, e-mail. Captured here, as an argument would be: masked and
    /// limited by the rules of the recorder in place, or the default ones.
    pub fn actor_details(self, details: impl Serialize) -> Self {
        let (details, cuts) = to_value("context.actor_details", &details);
        self.with(|data| {
            data.actor_details = Some(details);
            data.cuts.extend(cuts);
        })
    }

    /// Adds `key` to what every record under this context says in `extra`. A later value for a key takes
    /// the place of the earlier one; [`field`](crate::field) overrides it for one record.
    pub fn extra(self, key: impl Into<String>, value: impl Serialize) -> Self {
        let key = key.into();
        let (value, cuts) = to_value(&format!("context.extra.{key}"), &value);
        self.with(|data| {
            data.cuts.extend(cuts);
            data.extra.retain(|(known, _)| *known != key);
            data.extra.push((key, value));
        })
    }

    pub(crate) fn with_recorder(self, recorder: RecorderRef) -> Self {
        self.with(|data| data.recorder = Some(recorder))
    }

    fn with(mut self, change: impl FnOnce(&mut ContextData)) -> Self {
        let data = Arc::make_mut(&mut self.data);
        data.described = OnceLock::new();
        change(data);
        self
    }

    /// Runs `f` under this context.
    ///
    /// # Panics
    ///
    /// When `f` panics; the context that was in place before is then back in place.
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        let _entered = scope::enter(self.as_scope());
        f()
    }

    /// Puts `future` under this context: it applies whenever the future is polled, on whatever thread,
    /// and while it is dropped.
    ///
    /// ```
    /// # fn block_on<F: std::future::Future>(f: F) -> F::Output {
    /// #     let mut f = std::pin::pin!(f);
    /// #     let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop { if let std::task::Poll::Ready(v) = f.as_mut().poll(&mut cx) { return v } }
    /// # }
    /// use audited::{Context, execute_async, testing};
    ///
    /// let records = testing::capture(|| {
    ///     let search = execute_async("search", "shop::search", (), async { 3 });
    ///     block_on(Context::new().actor("alice").wrap(search));
    /// });
    /// assert_eq!(records[0].actor.as_deref(), Some("alice"));
    /// ```
    pub fn wrap<F: Future>(&self, future: F) -> InContext<F> {
        InContext { context: self.clone(), future: Some(future) }
    }

    /// The scope to enter. The recorder in place stays, unless this context names one; the call in place
    /// stays, unless this context was taken inside another.
    fn as_scope(&self) -> Scope {
        scope::with(|current| {
            let mut data = self.data.clone();
            if data.recorder.is_none()
                && let Some(recorder) =
                    current.context().and_then(|context| context.recorder.clone())
            {
                Arc::make_mut(&mut data).recorder = Some(recorder);
            }
            // Of two calls of one tree, the one in place is the inner one.
            let call = match (&self.parent, &current.call) {
                (Some(parent), Some(call)) if parent.lineage().root != call.lineage().root => {
                    Some(parent.clone())
                }
                (parent, call) => call.clone().or_else(|| parent.clone()),
            };
            // A context carries calls, never their logs: events go where they went before.
            let log = current.log().map_or(Log::Nowhere, |call| Log::Of(call.clone()));
            Scope { own_context: Some(data), call, log }
        })
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Sessions, details and extra data may hold what belongs in no log.
        f.debug_struct("Context")
            .field("actor", &self.data.actor)
            .field("on_behalf_of", &self.data.on_behalf_of)
            .field("ip", &self.data.ip)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// A future under a context: see [`Context::wrap`].
    #[must_use = "futures do nothing unless polled"]
    pub struct InContext<F> {
        context: Context,
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for InContext<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = scope::enter(this.context.as_scope());
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for InContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = scope::enter(this.context.as_scope());
        this.future.as_pin_mut().expect("the future is there until the drop").poll(cx)
    }
}

/// `value` as it is captured by the rules of the recorder in place here, or by the default ones: what they
/// mask is never kept. The rules of the recorder that a record goes to come on top.
fn to_value(path: &str, value: &impl Serialize) -> (Json, Vec<Truncation>) {
    let (mut json, mut cuts) = (String::new(), Vec::new());
    match current::recorder() {
        Some(recorder) => {
            capture::write_serialize(&mut json, &mut cuts, path, &recorder.rules, value);
        }
        None => capture::write_serialize(&mut json, &mut cuts, path, &Rules::default(), value),
    }
    (Json::trusted(json), cuts)
}
