//! Which recorder applies to the code that runs here: that of the context, or the installed one.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::busy::mark_busy;
use crate::recorder::{Recorder, RecorderRef, is_any_active, is_owner_or_warn};
use crate::scope;

/// The recorder that is installed for the process. What it points to is never freed.
static INSTALLED: AtomicPtr<Recorder> = AtomicPtr::new(ptr::null_mut());

/// The recorder for calls made here: that of the context, otherwise the installed one. `None` if
/// there is none, if it is switched off, or if this process was forked from the one that built it.
pub(crate) fn recorder() -> Option<RecorderRef> {
    applicable().filter(|recorder| {
        recorder.enabled.load(Ordering::Relaxed) && is_owner_or_warn(recorder.owner)
    })
}

/// Whether there is a recorder for calls made here that is switched off.
pub(crate) fn is_switched_off() -> bool {
    applicable().is_some_and(|recorder| !recorder.enabled.load(Ordering::Relaxed))
}

#[inline]
fn applicable() -> Option<RecorderRef> {
    scope::with(|scope| scope.context().and_then(|context| context.recorder.clone()))
        .or_else(|| installed().map(RecorderRef::Installed))
}

/// Like [`recorder`], but `None` also while this thread does work for the audit itself.
pub(crate) fn active_recorder() -> Option<RecorderRef> {
    if !is_any_active() {
        return None;
    }
    let _busy = mark_busy()?;
    recorder()
}

#[inline]
fn installed() -> Option<&'static Recorder> {
    // SAFETY: the pointer is null or comes from `install`, which never frees what it points to.
    unsafe { INSTALLED.load(Ordering::Acquire).as_ref() }
}

/// Installs `recorder` for the process. Returns `false` if there is an installed one already.
pub(crate) fn install(recorder: &Arc<Recorder>) -> bool {
    let leaked = Arc::into_raw(recorder.clone()).cast_mut();
    // An inherited recorder, of the process that this one was forked from, may be replaced.
    let vacant = installed()
        .filter(|recorder| !recorder.owner.is_current())
        .map_or(ptr::null_mut(), |inherited| ptr::from_ref(inherited).cast_mut());
    let installed = INSTALLED.compare_exchange(vacant, leaked, Ordering::AcqRel, Ordering::Acquire);
    if installed.is_err() {
        // SAFETY: `leaked` comes from `into_raw` above, and no other code has seen it.
        drop(unsafe { Arc::from_raw(leaked) });
    }
    installed.is_ok()
}

/// Uninstalls `recorder` if it is the installed one. Running calls may still refer to it.
pub(crate) fn uninstall(recorder: &Arc<Recorder>) {
    let own = Arc::as_ptr(recorder).cast_mut();
    let _ = INSTALLED.compare_exchange(own, ptr::null_mut(), Ordering::AcqRel, Ordering::Acquire);
}
