//! [`Lent`]: reads an object after the body has used it as `self`.
//!
//! The body may move `self`, so the object cannot be read through it afterwards. Any other
//! parameter is therefore bound again, to a reborrow that ends with the body. `self` cannot be
//! bound again: it is a keyword, and its type has the lifetime of the signature. So this file does
//! with a pointer what the reborrow does with a lifetime. It is the only `unsafe` code that audited
//! functions run.

use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::AtomicPtr;

/// An object that a body has got as `self`, until it is taken back.
///
/// It is `Send`, `Sync` and unwind safe if `&'a mut T` is: the pointer in it always is.
pub(super) struct Lent<'a, T> {
    object: AtomicPtr<T>,
    reference: PhantomData<&'a mut T>,
}

impl<'a, T> Lent<'a, T> {
    /// Replaces `*receiver` by a second reference to the same object, for the body.
    ///
    /// Until [`take_back`](Self::take_back), only the second reference may be used. After that it
    /// must not be used any more. The expansion guarantees both:
    ///
    /// - It moves `*receiver` into the closure or the future of the body, and takes the object back
    ///   when that has ended or was dropped.
    /// - Nothing that outlives the body can hold the reference. Its lifetime is elided in the
    ///   signature, so no other argument can name it. That the return type does not name it either
    ///   is the bound by which the lookup of [`watch`](super::watch) chooses to lend.
    pub(super) fn new(receiver: &mut &'a mut T) -> Self {
        let object = ptr::from_mut::<T>(receiver);
        // SAFETY: `object` points to a `T` that is borrowed for `'a`. The reference that it was
        // made from is overwritten here, so the new one is the only one in use; see above.
        *receiver = unsafe { &mut *object };
        Self { object: AtomicPtr::new(object), reference: PhantomData }
    }

    /// The object, when the body has ended.
    pub(super) fn take_back(self) -> &'a T {
        let object = self.object.into_inner();
        // SAFETY: `object` points to a `T` that is borrowed for `'a`. The reference that was made
        // from it has ended with the body; see `new`.
        unsafe { &*object }
    }
}

#[cfg(test)]
mod tests {
    use super::Lent;

    #[test]
    fn the_object_is_read_after_a_body_that_moves_its_reference() {
        let mut object = vec![1];
        let mut receiver = &mut object;
        let lent = Lent::new(&mut receiver);
        let body = move || {
            let this = receiver;
            this.push(2);
        };
        body();
        assert_eq!(lent.take_back(), &[1, 2]);
        object.push(3);
        assert_eq!(object, [1, 2, 3]);
    }
}
