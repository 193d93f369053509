//! [`Context`]: who acts, on whose behalf, from where, and as part of what.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use audit_record::{CorrelationId, Json};
use pin_project_lite::pin_project;
use serde::Serialize;

use crate::capture::{self, Rules};
use crate::in_flight::{CallShared, ContextData, ContextValue, Url};
use crate::recorder::RecorderRef;
use crate::scope::{self, LogTarget, Scope};
use crate::{current, events};

/// What every record of a scope has in common: who acts, on whose behalf, from where, and as part
/// of what.
///
/// A context is immutable: each setter returns a new one. It applies inside
/// [`scope`](Context::scope), and while a future given to [`wrap`](Context::wrap) is polled.
/// Afterwards the previous context applies again, also if the scope is left by a panic. Other
/// threads and tasks do not inherit it: take [`Context::current`] and enter it there.
///
/// All values are optional, and a call without any context is recorded, too. Of a text with more
/// than 1,024 bytes, such as the name of an actor, a record has the beginning and a digest. [`Context::new`]
/// starts empty; [`Context::current`] starts with the values that apply here.
/// [`values`](Context::values) reads a context.
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
    /// The call in which [`Context::current`] was taken. It is not in `data`, because calls keep
    /// `data`. If each call were made under the context of the call before, no call would ever be
    /// freed.
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
    /// An empty context.
    pub fn new() -> Self {
        Self::default()
    }

    /// The context that applies here, for example to carry it into another thread or task.
    ///
    /// Calls that are made under it become children of the call in which it was taken.
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
        /// Sets who acts: a user, a machine, a job.
        actor(impl Into<Arc<str>>) limited;
        /// Sets the user on whose behalf the actor acts, for example when an administrator
        /// impersonates a customer.
        on_behalf_of(impl Into<Arc<str>>) limited;
        /// Sets the IP address of the client: `.ip([192, 0, 2, 7])`, or an `IpAddr`, as
        /// `"192.0.2.7".parse::<IpAddr>()` returns it.
        ip(impl Into<IpAddr>) Into::into;
        /// Sets the site, such as a host, region or tenant. It overrides the site of the recorder.
        site(impl Into<Arc<str>>) limited;
        /// Sets the service. It overrides the service of the recorder.
        service(impl Into<Arc<str>>) limited;
        /// Sets the id that all records of one operation share. Without it, they share the id of
        /// the outermost call.
        correlation_id(impl Into<CorrelationId>) limited_correlation_id;
        /// Sets the id of the request that is being served.
        request_id(impl Into<String>) limited_string;
        /// Sets a name for the user's session. Do not use a value that grants access to the
        /// session.
        session(impl Into<String>) limited_string;
        /// Sets the `User-Agent` of the client.
        user_agent(impl Into<String>) limited_string;
        /// Sets the URL that was requested. In the record, a password in it is masked, and so are
        /// parameters whose names the [`Mask`](crate::Mask) contains. At most 8 KiB are recorded.
        url(impl Into<String>) Url::new;
    }

    /// Sets more about the actor, such as roles, department or e-mail address.
    ///
    /// The value is captured now, like an argument. The rules of the current recorder mask and
    /// limit it, or the default rules if there is none.
    pub fn actor_details(self, details: impl Serialize) -> Self {
        let details = captured("actor_details", "context.actor_details", &details);
        self.with(|data| data.actor_details = Some(details))
    }

    /// Sets the field `key` in the `extra` of every record under this context. A later value for a
    /// key replaces the earlier one. A context keeps at most 1,000 fields and 256 KiB of them; excess
    /// fields are counted in the records.
    ///
    /// The value is captured now, like [`actor_details`](Self::actor_details).
    /// [`audited::field`](crate::field) overrides it for one record.
    ///
    /// ```
    /// use audited::Context;
    /// use serde_json::json;
    ///
    /// let records = audited::testing::capture(|| {
    ///     Context::new().field("tenant", 5).scope(|| {
    ///         audited::execute("pay invoice", "bank::pay", (), || ());
    ///     });
    /// });
    /// let context = records[0].context.as_ref().unwrap();
    /// assert_eq!(context.to_value(), json!({"extra": {"tenant": 5}}));
    /// ```
    pub fn field(self, key: impl Into<String>, value: impl Serialize) -> Self {
        let key = key.into();
        let name = capture::limited_identifier(&*key).into_owned();
        let value = captured(&key, &format!("context.extra.{name}"), &value);
        self.with(|data| data.set_extra(name, value))
    }

    /// A read-only view of the values of this context.
    ///
    /// ```
    /// use audited::Context;
    ///
    /// Context::new().actor("alice").field("tenant", 5).scope(|| {
    ///     let context = Context::current();
    ///     assert_eq!(context.values().actor(), Some("alice"));
    ///     assert_eq!(context.values().field("tenant").unwrap().to_string(), "5");
    ///     assert_eq!(context.values().request_id(), None);
    /// });
    /// ```
    #[must_use]
    pub fn values(&self) -> ContextValues<'_> {
        ContextValues(&self.data)
    }

    pub(crate) fn with_recorder(self, recorder: RecorderRef) -> Self {
        self.with(|data| data.recorder = Some(recorder))
    }

    fn with(mut self, change: impl FnOnce(&mut ContextData)) -> Self {
        let data = Arc::make_mut(&mut self.data);
        data.rendered = OnceLock::new();
        change(data);
        self
    }

    /// Runs `f` under this context.
    ///
    /// # Panics
    ///
    /// If `f` panics. The previous context applies again then, too.
    pub fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        let scope = self.as_scope();
        let _subscriber = events::set_own_subscriber(&scope);
        let _entered = scope::enter(scope);
        f()
    }

    /// Puts `future` under this context: it applies whenever the future is polled, on any thread,
    /// and while the future is dropped.
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

    /// The scope to enter. The current recorder stays, unless this context names another one. The
    /// current call stays, unless this context was taken in a call of another tree.
    fn as_scope(&self) -> Scope {
        scope::with(|current| {
            let mut data = self.data.clone();
            if data.recorder.is_none()
                && let Some(recorder) =
                    current.context().and_then(|context| context.recorder.clone())
            {
                Arc::make_mut(&mut data).recorder = Some(recorder);
            }
            // Of two calls of one tree, the current one is the inner one.
            let call = match (&self.parent, &current.call) {
                (Some(parent), Some(call)) if parent.lineage().root != call.lineage().root => {
                    Some(parent.clone())
                }
                (parent, call) => call.clone().or_else(|| parent.clone()),
            };
            // A context carries the call, but not its log: events go where they went before.
            let log = current.log().map_or(LogTarget::None, |call| LogTarget::Call(call.clone()));
            Scope { own_context: Some(data), call, log }
        })
    }
}

impl fmt::Debug for Context {
    /// Shows only who acts. Sessions, details and fields may hold what does not belong in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_identity(&self.data, "Context", f)
    }
}

/// The values of a [`Context`], from [`Context::values`].
///
/// It has the values that were set for this context, and for the contexts that it was made from. A
/// value that was not set is `None`, even if records have a default for it. Such defaults are the
/// site and service of the recorder, and the id of the outermost call as correlation id.
///
/// Inside [`actor_details`](Self::actor_details) and [`fields`](Self::fields), secrets were masked
/// by name when the values were set. All other values are as they were set, even where a record
/// masks them.
#[derive(Clone, Copy)]
pub struct ContextValues<'c>(&'c ContextData);

impl<'c> ContextValues<'c> {
    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> Option<&'c str> {
        self.0.actor.as_deref()
    }

    /// The user on whose behalf the actor acts.
    #[must_use]
    pub fn on_behalf_of(&self) -> Option<&'c str> {
        self.0.on_behalf_of.as_deref()
    }

    /// The IP address of the client.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.0.ip
    }

    /// The site.
    #[must_use]
    pub fn site(&self) -> Option<&'c str> {
        self.0.site.as_deref()
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> Option<&'c str> {
        self.0.service.as_deref()
    }

    /// The id that all records of one operation share.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&'c CorrelationId> {
        self.0.correlation_id.as_ref()
    }

    /// The id of the request that is being served.
    #[must_use]
    pub fn request_id(&self) -> Option<&'c str> {
        self.0.request_id.as_deref()
    }

    /// The name of the user's session.
    #[must_use]
    pub fn session(&self) -> Option<&'c str> {
        self.0.session.as_deref()
    }

    /// The `User-Agent` of the client.
    #[must_use]
    pub fn user_agent(&self) -> Option<&'c str> {
        self.0.user_agent.as_deref()
    }

    /// The URL that was requested.
    #[must_use]
    pub fn url(&self) -> Option<&'c str> {
        self.0.url.as_ref().map(Url::text)
    }

    /// More about the actor.
    #[must_use]
    pub fn actor_details(&self) -> Option<&'c Json> {
        self.0.actor_details.as_ref().map(|details| &details.json)
    }

    /// The field `key`.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&'c Json> {
        self.fields().find_map(|(known, value)| (known == key).then_some(value))
    }

    /// All fields with their keys, in the order in which they were set.
    pub fn fields(&self) -> impl Iterator<Item = (&'c str, &'c Json)> + use<'c> {
        self.0.extra.iter().map(|(key, value)| (key.as_str(), &value.json))
    }
}

impl fmt::Debug for ContextValues<'_> {
    /// Shows only who acts, as [`Context`] does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_identity(self.0, "ContextValues", f)
    }
}

fn debug_identity(data: &ContextData, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct(name)
        .field("actor", &data.actor)
        .field("on_behalf_of", &data.on_behalf_of)
        .field("ip", &data.ip)
        .finish_non_exhaustive()
}

pin_project! {
    /// A future under a context, from [`Context::wrap`].
    #[must_use = "futures do nothing unless polled"]
    pub struct InContext<F> {
        context: Context,
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for InContext<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let scope = this.context.as_scope();
            let _subscriber = events::set_own_subscriber(&scope);
            let _entered = scope::enter(scope);
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for InContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let scope = this.context.as_scope();
        let _subscriber = events::set_own_subscriber(&scope);
        let _entered = scope::enter(scope);
        this.future.as_pin_mut().expect("only `drop` removes the future").poll(cx)
    }
}

impl<F> fmt::Debug for InContext<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InContext").field("context", &self.context).finish_non_exhaustive()
    }
}

/// Captures `value`, which is called `name`, by the rules of the current recorder, or by the default
/// rules. What they mask is never kept. The recorder that a record goes to applies its own rules
/// afterwards.
fn captured(name: &str, path: &str, value: &impl Serialize) -> ContextValue {
    let recorder = current::recorder();
    let default_rules;
    let rules = match &recorder {
        Some(recorder) => &recorder.rules,
        None => {
            default_rules = Rules::default();
            &default_rules
        }
    };
    let (mut json, mut cuts) = (String::new(), Vec::new());
    if rules.mask.matches(name) {
        capture::write_redacted(&mut json);
    } else {
        capture::ValueWriter::new(&mut json, &mut cuts, path, rules).serialize(value);
    }
    ContextValue { json: Json::trusted(json), cuts }
}

fn limited(name: impl Into<Arc<str>>) -> Arc<str> {
    let name = name.into();
    match capture::limited_identifier(&*name) {
        Cow::Borrowed(_) => name,
        Cow::Owned(cut) => cut.into(),
    }
}

fn limited_correlation_id(id: impl Into<CorrelationId>) -> CorrelationId {
    match id.into() {
        CorrelationId::Text(text) => CorrelationId::Text(limited(text)),
        id => id,
    }
}

fn limited_string(name: impl Into<String>) -> String {
    capture::limited_identifier(name.into()).into_owned()
}
