//! [`Input`]: where the attribute puts what it captures before the body runs.

use std::fmt::Display;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use super::target::IntoTarget;
use super::{Active, CallShared};
use crate::capture::{self, Rules};
use crate::site::CaptureLevel;
use crate::{Json, Truncation, scope};

/// Gathers the arguments of one call; empty where nothing is recorded.
pub struct Input(Option<Box<Gathering>>);

/// As for the call itself.
impl UnwindSafe for Input {}
impl RefUnwindSafe for Input {}

struct Gathering {
    call: Arc<CallShared>,
    json: String,
    cuts: Vec<Truncation>,
    wanted: bool,
    /// The JSON is one value, not the beginning of an object.
    is_whole: bool,
}

impl Input {
    #[inline]
    pub(super) fn of(active: Option<&Active>) -> Self {
        Self(active.map(|active| {
            let _busy = scope::busy();
            let wanted = active.shared.capture >= CaptureLevel::Input;
            let json = if wanted { String::with_capacity(128) } else { String::new() };
            Box::new(Gathering {
                call: active.shared.clone(),
                json,
                cuts: Vec::new(),
                wanted,
                is_whole: false,
            })
        }))
    }

    /// Whether the call is recorded at all.
    #[inline]
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Whether arguments are captured.
    #[inline]
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.0.as_ref().is_some_and(|gathering| gathering.wanted)
    }

    /// Records only that the argument `name` is there.
    pub fn redacted(&mut self, name: &'static str) {
        self.argument(name, |out, _, _, _| capture::write_redacted(out));
    }

    /// Sets the object that the call is about.
    pub fn target(&mut self, target: impl IntoTarget) {
        if let Some(gathering) = &self.0 {
            gathering.call.state().target = Some(target.into_target().0);
        }
    }

    /// Sets why it is done.
    pub fn reason(&mut self, reason: &(impl Display + ?Sized)) {
        if let Some(gathering) = &self.0 {
            let reason = super::now::limited(&gathering.call, "reason", reason);
            gathering.call.state().reason = Some(reason);
        }
    }

    /// Hands over what was gathered. Done before the body begins.
    #[inline]
    pub fn done(self) {
        if self.0.is_some() {
            self.hand_over();
        }
    }

    /// Writes the argument `name`. A name that is to be masked is, whatever its value.
    pub(crate) fn argument(
        &mut self,
        name: &'static str,
        write: impl FnOnce(&mut String, &mut Vec<Truncation>, &str, &Rules),
    ) {
        let Some(gathering) = &mut self.0 else { return };
        let Gathering { call, json, cuts, .. } = &mut **gathering;
        json.push(if json.is_empty() { '{' } else { ',' });
        capture::write_key(json, name);
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
        if let Some(gathering) = &mut self.0 {
            let Gathering { call, json, cuts, .. } = &mut **gathering;
            write(json, cuts, "input", call.rules());
            gathering.is_whole = true;
        }
    }

    /// Writes the field `name` of the record's `extra`.
    pub(crate) fn field(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut String, &mut Vec<Truncation>, &str, &Rules),
    ) {
        if let Some(gathering) = &self.0 {
            super::now::set_field(&gathering.call, name, write);
        }
    }
}

impl Input {
    #[inline(never)]
    fn hand_over(mut self) {
        // First, so that all of it is freed before this ends: an audited allocator must not come back here.
        let _busy = scope::busy();
        let Some(gathering) = self.0.take() else { return };
        let Gathering { call, mut json, cuts, wanted, is_whole } = *gathering;
        if !wanted {
            return;
        }
        if !is_whole {
            json.push_str(if json.is_empty() { "{}" } else { "}" });
        }
        let mut state = call.state();
        state.input = Some(Json::trusted(json));
        if !cuts.is_empty() {
            // Before what is told of the objects that are watched.
            let told = mem::replace(&mut state.truncated, cuts);
            told.into_iter().for_each(|cut| state.cut(cut));
        }
    }
}
