//! Which recorder applies to what runs here.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::busy::busy;
use crate::recorder::{Recorder, RecorderRef, is_any_active, is_at_home};
use crate::scope;

static INSTALLED: AtomicPtr<Recorder> = AtomicPtr::new(ptr::null_mut());

/// The recorder for calls made here: the context's, else the installed one.
pub(crate) fn recorder() -> Option<RecorderRef> {
    scope::with(|scope| scope.context().and_then(|context| context.recorder.clone()))
        .or_else(|| installed().map(RecorderRef::Installed))
        .filter(|recorder| recorder.enabled.load(Ordering::Relaxed) && is_at_home(recorder.home))
}

/// Whether there is a recorder for calls made here, but one that is switched off.
pub(crate) fn is_switched_off() -> bool {
    scope::with(|scope| scope.context().and_then(|context| context.recorder.clone()))
        .or_else(|| installed().map(RecorderRef::Installed))
        .is_some_and(|recorder| !recorder.enabled.load(Ordering::Relaxed))
}

/// The recorder for what happens here; `None` also while the audit itself is at work here.
pub(crate) fn active_recorder() -> Option<RecorderRef> {
    if !is_any_active() {
        return None;
    }
    let _busy = busy()?;
    recorder()
}

fn installed() -> Option<&'static Recorder> {
    // SAFETY: the pointer is null, or comes from `install`, which leaks what it points to.
    unsafe { INSTALLED.load(Ordering::Acquire).as_ref() }
}

/// Makes `recorder` the process's own; `false` if there is one already.
pub(crate) fn install(recorder: &Arc<Recorder>) -> bool {
    let leaked = Arc::into_raw(recorder.clone()).cast_mut();
    // That of the process from which this one was forked is in nobody's way.
    let vacant = installed()
        .filter(|recorder| !recorder.home.is_here())
        .map_or(ptr::null_mut(), |inherited| ptr::from_ref(inherited).cast_mut());
    let installed = INSTALLED.compare_exchange(vacant, leaked, Ordering::AcqRel, Ordering::Acquire);
    if installed.is_err() {
        // SAFETY: `leaked` comes from `into_raw` above, and nobody else has seen it.
        drop(unsafe { Arc::from_raw(leaked) });
    }
    installed.is_ok()
}

/// Takes `recorder` out of its place, if it has it. Calls under way may still hold it.
pub(crate) fn uninstall(recorder: &Arc<Recorder>) {
    let own = Arc::as_ptr(recorder).cast_mut();
    let _ = INSTALLED.compare_exchange(own, ptr::null_mut(), Ordering::AcqRel, Ordering::Acquire);
}
