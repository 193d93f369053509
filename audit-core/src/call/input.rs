//! [`Input`]: where the attribute puts what it captures before the body runs.

use std::cell::Cell;
use std::fmt::Display;
use std::mem::{self, ManuallyDrop};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use audit_record::Truncation;
use audit_record::private::json::write_key;

use crate::busy::busy;
use crate::call::lifecycle::{Call, Stage};
use crate::call::target::IntoTarget;
use crate::call_site::{CaptureLevel, Site};
use crate::capture::{self, Rules};
use crate::in_flight::{CallShared, limited, set_field};

/// Gathers the arguments of one call; empty where nothing is recorded.
///
/// Boxed, and dropped by hand, as the call itself.
pub struct Input(pub(super) ManuallyDrop<Option<Box<Gathering>>>);

/// As for the call itself.
impl UnwindSafe for Input {}
impl RefUnwindSafe for Input {}

/// What is gathered of a call that is recorded.
#[derive(Default)]
pub struct Gathering {
    /// Always there while this is in use.
    call: Option<Arc<CallShared>>,
    site: Option<&'static Site>,
    json: String,
    cuts: Vec<Truncation>,
    wanted: bool,
    /// The JSON is one value, not the beginning of an object.
    is_whole: bool,
}

thread_local! {
    /// For the next call: its memory is there already, with room for text.
    static SPARE: Cell<Option<Box<Gathering>>> = const { Cell::new(None) };
}

impl Call {
    /// Where the arguments go.
    #[inline]
    #[must_use]
    pub fn input(&self) -> Input {
        Input(ManuallyDrop::new(self.0.as_deref().and_then(Gathering::of)))
    }
}

impl Input {
    /// Whether the call is recorded at all.
    #[inline]
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Where arguments go, if they are captured.
    #[inline]
    #[must_use]
    pub fn wanted(&mut self) -> Option<&mut Gathering> {
        self.0.as_deref_mut().filter(|gathering| gathering.wanted)
    }

    /// Sets the object that the call is about.
    pub fn target(&mut self, target: impl IntoTarget) {
        if let Some(call) = self.call() {
            call.state().rest().target = Some(target.into_target().0);
        }
    }

    /// Sets why it is done.
    pub fn reason(&mut self, reason: &(impl Display + ?Sized)) {
        if let Some(call) = self.call() {
            let reason = limited(call, "reason", reason);
            call.state().rest().reason = Some(reason);
        }
    }

    /// Hands over what was gathered. Done before the body begins.
    #[inline]
    pub fn done(mut self) {
        if let Some(gathering) = self.0.take() {
            gathering.hand_over();
        }
    }

    /// Writes the field `name` of the record's `extra`.
    pub(crate) fn field(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut String, &mut Vec<Truncation>, &str, &Rules),
    ) {
        if let Some(call) = self.call() {
            set_field(call, name, write);
        }
    }

    fn call(&self) -> Option<&Arc<CallShared>> {
        self.0.as_ref()?.call.as_ref()
    }

    /// The call and its site, once what was gathered is handed over.
    pub(super) fn hand_over(&mut self) -> Option<(Arc<CallShared>, Option<&'static Site>)> {
        let gathering = self.0.take()?;
        let of = (gathering.call.clone()?, gathering.site);
        gathering.hand_over();
        Some(of)
    }
}

/// Room for most inputs, in bytes; room beyond `KEPT` is freed, not kept.
const ROOM: usize = 256;
const KEPT: usize = 16 * 1024;

impl Drop for Input {
    #[inline]
    fn drop(&mut self) {
        if let Some(gathering) = self.0.take() {
            gathering.abandoned();
        }
    }
}

impl Gathering {
    #[inline(never)]
    pub(super) fn of(stage: &Stage) -> Option<Box<Self>> {
        let Stage::Running(active) = stage else { return None };
        let _busy = busy();
        let wanted = active.shared.capture >= CaptureLevel::Input;
        let mut this: Box<Self> = SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default();
        (this.call, this.site) = (Some(active.shared.clone()), active.site);
        this.wanted = wanted;
        if wanted && this.json.capacity() == 0 {
            this.json.reserve(ROOM);
        }
        Some(this)
    }

    /// Records only that the argument `name` is there.
    pub fn redacted(&mut self, name: &'static str) {
        self.argument(name, |out, _, _, _| capture::write_redacted(out));
    }

    /// Writes the argument `name`. A name that is to be masked is, whatever its value.
    pub(crate) fn argument(
        &mut self,
        name: &'static str,
        write: impl FnOnce(&mut String, &mut Vec<Truncation>, &str, &Rules),
    ) {
        let Self { call: Some(call), json, cuts, .. } = self else { return };
        json.push(if json.is_empty() { '{' } else { ',' });
        write_key(json, name);
        let rules = call.rules();
        if rules.mask.matches_static(name) {
            capture::write_redacted(json);
        } else {
            let before = cuts.len();
            write(json, cuts, name, rules);
            // A cut is rare: only then is the path made whole.
            for cut in &mut cuts[before..] {
                cut.path.insert_str(0, "input.");
            }
        }
    }

    /// Writes the input as a whole, for a call without attribute.
    pub(crate) fn whole(
        &mut self,
        write: impl FnOnce(&mut String, &mut Vec<Truncation>, &str, &Rules),
    ) {
        let Self { call: Some(call), json, cuts, .. } = self else { return };
        write(json, cuts, "input", call.rules());
        self.is_whole = true;
    }

    /// The call ends before its body has begun: an argument's own code panicked.
    #[cold]
    #[inline(never)]
    fn abandoned(self: Box<Self>) {
        let _busy = busy();
        self.spare();
    }

    #[inline(never)]
    fn hand_over(mut self: Box<Self>) {
        // First, so that all of it is freed before this ends: an audited allocator must not come back here.
        let _busy = busy();
        self.tell();
        self.spare();
    }

    fn spare(mut self: Box<Self>) {
        // Nothing of this call stays but room.
        (self.call, self.site) = (None, None);
        self.cuts.clear();
        self.is_whole = false;
        if self.json.capacity() > KEPT {
            self.json = String::new();
        }
        self.json.clear();
        let _ = SPARE.try_with(|spare| spare.set(Some(self)));
    }

    fn tell(&mut self) {
        let Self { call: Some(call), json, cuts, wanted: true, is_whole, .. } = self else {
            return;
        };
        if !*is_whole {
            json.push_str(if json.is_empty() { "{}" } else { "}" });
        }
        let mut state = call.state();
        state.set_input(json);
        if !cuts.is_empty() {
            // Before what is told of the objects that are watched.
            let told = mem::replace(&mut state.rest().truncated, mem::take(cuts));
            told.into_iter().for_each(|cut| state.cut(cut));
        }
    }
}
