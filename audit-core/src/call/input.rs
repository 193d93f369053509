//! [`Input`]: collects the arguments of a call before its body runs.

use std::cell::Cell;
use std::fmt::Display;
use std::mem::{self, ManuallyDrop};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use audit_record::Truncation;
use audit_record::private::json::write_key;

use crate::busy::mark_busy;
use crate::call::annotate::IntoTarget;
use crate::call::lifecycle::{Call, CallStage};
use crate::call_site::{CallSite, CaptureLevel};
use crate::capture;
use crate::in_flight::{CallShared, limited_text, set_field};
use crate::recorder;
use crate::spare::SpareSlots;

/// Collects the arguments of one call; empty if the call is not recorded.
///
/// Boxed and dropped by hand, for the same reason as [`Call`].
pub struct Input(pub(super) ManuallyDrop<Option<Box<InputBuffer>>>);

/// The same holds for [`Call`].
impl UnwindSafe for Input {}
impl RefUnwindSafe for Input {}

/// The arguments of a recorded call.
#[derive(Default)]
pub struct InputBuffer {
    /// Always set while the buffer is in use.
    call: Option<Arc<CallShared>>,
    site: Option<&'static CallSite>,
    json: String,
    cuts: Vec<Truncation>,
    /// The arguments are recorded.
    is_wanted: bool,
    /// The JSON text is one value, and not the beginning of an object.
    is_whole: bool,
}

/// The first allocation of the JSON text, in bytes. Most inputs fit.
const INITIAL_JSON_BYTES: usize = 256;
/// Takes an input back that the body has not taken, because the recorder was closed in between.
pub(super) struct HandedInput;

impl Drop for HandedInput {
    fn drop(&mut self) {
        if let Ok(Some(buffer)) = HANDED.try_with(Cell::take) {
            buffer.discard();
        }
    }
}

/// Limit of the JSON buffer that is kept for reuse, in bytes.
const MAX_SPARE_JSON_BYTES: usize = 16 * 1024;

/// What stands before the name in the path of a field.
const EXTRA_FIELDS: &str = "context.extra.";

thread_local! {
    static SPARE: SpareSlots<Box<InputBuffer>> = const { SpareSlots::new() };
    /// The input of an `async fn` whose body is about to be polled for the first time.
    static HANDED: Cell<Option<Box<InputBuffer>>> = const { Cell::new(None) };
}

impl Call {
    /// Creates the input of this call.
    #[inline]
    #[must_use]
    pub fn input(&self) -> Input {
        Input(ManuallyDrop::new(self.0.as_deref().and_then(InputBuffer::of)))
    }
}

impl Input {
    /// The input of a call that is not recorded.
    pub(super) const NONE: Self = Self(ManuallyDrop::new(None));

    /// Gives the input to a body that is polled next, and calls [`of_body`](Self::of_body) first.
    pub(super) fn hand_to_body(mut self) -> Option<HandedInput> {
        let buffer = self.0.take()?;
        let _ = HANDED.try_with(|handed| handed.set(Some(buffer)));
        Some(HandedInput)
    }

    /// The input of the `async fn` whose body calls this; its first statement does.
    #[inline]
    #[must_use]
    pub fn of_body() -> Self {
        if !recorder::is_any_active() {
            return Self::NONE;
        }
        Self(ManuallyDrop::new(HANDED.try_with(Cell::take).ok().flatten()))
    }

    /// Whether the call is recorded.
    #[inline]
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// The buffer for the arguments, if they are recorded.
    #[inline]
    #[must_use]
    pub fn wanted(&mut self) -> Option<&mut InputBuffer> {
        self.0.as_deref_mut().filter(|buffer| buffer.is_wanted)
    }

    /// Records the detail at `path` with `record`, which evaluates an expression of the attribute.
    ///
    /// That is code of the program, which runs only because the call is recorded. If it panics, the
    /// record says so, and the program goes on.
    pub fn detail(&mut self, path: &str, record: impl FnOnce(&mut Self)) {
        if capture::run_user_code(|| record(self)).is_none() {
            self.detail_panicked(path);
        }
    }

    #[cold]
    fn detail_panicked(&mut self, path: &str) {
        const PANICKED: &str = "[not recorded: its expression panicked]";
        let Some(call) = self.call() else { return };
        let cut = Truncation::new(path.to_owned(), "values", 0, Some(1));
        call.state().cut(cut);
        match path {
            "target" => self.target((PANICKED, PANICKED)),
            "reason" => self.reason(PANICKED),
            field => {
                let name = field.strip_prefix(EXTRA_FIELDS).unwrap_or(field);
                self.field(name, |writer| {
                    writer.serialize(PANICKED);
                });
            }
        }
    }

    /// Sets the object that the call is about.
    pub fn target(&mut self, target: impl IntoTarget) {
        if let Some(call) = self.call() {
            call.state().annotations().set_target(target.into_target().0);
        }
    }

    /// Sets the reason for the call.
    pub fn reason(&mut self, reason: &(impl Display + ?Sized)) {
        if let Some(call) = self.call() {
            let reason = limited_text(call, "reason", reason);
            call.state().annotations().reason = Some(reason);
        }
    }

    /// Gives the arguments to the call. The body runs afterwards.
    #[inline]
    pub fn done(mut self) {
        if let Some(buffer) = self.0.take() {
            buffer.hand_over();
        }
    }

    /// Sets the field `name` in the `extra` of the record.
    pub(crate) fn field(&mut self, name: &str, write: impl FnOnce(capture::ValueWriter<'_>)) {
        if let Some(call) = self.call() {
            set_field(call, name, write);
        }
    }

    fn call(&self) -> Option<&Arc<CallShared>> {
        self.0.as_ref()?.call.as_ref()
    }

    /// Gives the arguments to the call. Returns the call and its call site.
    pub(super) fn hand_over(&mut self) -> Option<(Arc<CallShared>, Option<&'static CallSite>)> {
        let buffer = self.0.take()?;
        let call_and_site = (buffer.call.clone()?, buffer.site);
        buffer.hand_over();
        Some(call_and_site)
    }
}

impl Drop for Input {
    #[inline]
    fn drop(&mut self) {
        if let Some(buffer) = self.0.take() {
            buffer.discard();
        }
    }
}

impl InputBuffer {
    #[inline(never)]
    pub(super) fn of(stage: &CallStage) -> Option<Box<Self>> {
        let CallStage::Running(running) = stage else { return None };
        let _busy = mark_busy();
        let is_wanted = running.shared.capture >= CaptureLevel::Input;
        let mut this = SpareSlots::take(&SPARE).unwrap_or_default();
        (this.call, this.site) = (Some(running.shared.clone()), running.site);
        this.is_wanted = is_wanted;
        if is_wanted && this.json.capacity() == 0 {
            this.json.reserve(INITIAL_JSON_BYTES);
        }
        Some(this)
    }

    /// Records the argument `name` without its value.
    pub fn redacted(&mut self, name: &'static str) {
        self.argument(name, |writer| writer.redacted());
    }

    /// Records the argument `name`. It is masked if its name is on the mask.
    pub(crate) fn argument(
        &mut self,
        name: &'static str,
        write: impl FnOnce(capture::ValueWriter<'_>),
    ) {
        let Self { call: Some(call), json, cuts, .. } = self else { return };
        json.push(if json.is_empty() { '{' } else { ',' });
        write_key(json, name);
        let rules = call.rules();
        if rules.mask.matches_static(name) {
            capture::write_redacted(json);
        } else {
            let before = cuts.len();
            write(capture::ValueWriter::new(json, cuts, name, rules));
            // Cuts are rare, so the full path is created only for them.
            for cut in &mut cuts[before..] {
                cut.path.insert_str(0, "input.");
            }
        }
    }

    /// Records one value as the whole input, for a call without attribute.
    pub(crate) fn whole(&mut self, write: impl FnOnce(capture::ValueWriter<'_>)) {
        let Self { call: Some(call), json, cuts, .. } = self else { return };
        write(capture::ValueWriter::new(json, cuts, "input", call.rules()));
        self.is_whole = true;
    }

    /// Discards the arguments: the call ends before its body runs, because an argument's own code
    /// panicked.
    #[cold]
    #[inline(never)]
    fn discard(self: Box<Self>) {
        let _busy = mark_busy();
        self.recycle();
    }

    #[inline(never)]
    fn hand_over(mut self: Box<Self>) {
        // Created first, so that everything is freed before it ends: an audited allocator must not
        // be recorded here.
        let _busy = mark_busy();
        self.set_input();
        self.recycle();
    }

    fn recycle(mut self: Box<Self>) {
        (self.call, self.site) = (None, None);
        self.cuts.clear();
        self.is_whole = false;
        if self.json.capacity() > MAX_SPARE_JSON_BYTES {
            self.json = String::new();
        }
        self.json.clear();
        SpareSlots::put(&SPARE, self);
    }

    fn set_input(&mut self) {
        let Self { call: Some(call), json, cuts, is_wanted: true, is_whole, .. } = self else {
            return;
        };
        if !*is_whole {
            json.push_str(if json.is_empty() { "{}" } else { "}" });
        }
        let mut state = call.state();
        state.set_input(json);
        if !cuts.is_empty() {
            // The cuts of watched objects, which are there already, come after those of arguments.
            let earlier = mem::replace(&mut state.annotations().truncated, mem::take(cuts));
            earlier.into_iter().for_each(|cut| state.cut(cut));
        }
    }
}
