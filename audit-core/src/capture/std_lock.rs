//! [`StdLock`]: reads what a lock of `std` contains, without waiting.

use std::rc::Rc;
use std::sync::{Arc, Mutex, RwLock, TryLockError};

use serde::Serialize;

/// A lock of `std`, also behind pointers, whose content is `Serialize`.
pub trait StdLock {
    /// What is in the lock.
    type Content: ?Sized + Serialize;

    /// Passes the content to `read`, or `None` if the lock is held.
    ///
    /// A poisoned lock is read: a half-changed value is what the program has.
    fn read<R>(&self, read: impl FnOnce(Option<&Self::Content>) -> R) -> R;
}

macro_rules! std_lock {
    ($lock:ident, $try_lock:ident) => {
        impl<T: ?Sized + Serialize> StdLock for $lock<T> {
            type Content = T;

            fn read<R>(&self, read: impl FnOnce(Option<&T>) -> R) -> R {
                match self.$try_lock() {
                    Ok(content) => read(Some(&content)),
                    Err(TryLockError::Poisoned(poisoned)) => read(Some(poisoned.get_ref())),
                    Err(TryLockError::WouldBlock) => read(None),
                }
            }
        }
    };
}

std_lock!(Mutex, try_lock);
std_lock!(RwLock, try_read);

macro_rules! pointer_to_lock {
    ($($pointer:ty),*) => {$(
        impl<L: ?Sized + StdLock> StdLock for $pointer {
            type Content = L::Content;

            fn read<R>(&self, read: impl FnOnce(Option<&L::Content>) -> R) -> R {
                (**self).read(read)
            }
        }
    )*};
}

pointer_to_lock!(&L, &mut L, Box<L>, Rc<L>, Arc<L>);
