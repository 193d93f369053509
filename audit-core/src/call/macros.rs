//! Macros that define the wrapper types of a method lookup, as described in `probe`.

/// Defines `$outer`, which derefs to `$inner`. Methods that `$outer` does not have are looked up
/// there.
macro_rules! falls_back {
    ($(#[$meta:meta])* $outer:ident => $inner:ident) => {
        $(#[$meta])*
        pub struct $outer<'v, T: ?Sized>(pub(super) $inner<'v, T>);

        impl<'v, T: ?Sized> std::ops::Deref for $outer<'v, T> {
            type Target = $inner<'v, T>;

            #[inline]
            fn deref(&self) -> &$inner<'v, T> {
                &self.0
            }
        }
    };
}
