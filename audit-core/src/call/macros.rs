//! Macros that define the wrapper types of a method lookup, as described in `probe`.

/// Defines `$outer`, which derefs to `$inner`. Methods that `$outer` does not have are looked up
/// there.
macro_rules! falls_back {
    ($(#[$meta:meta])* $outer:ident => $inner:ident $(<$ways:ident>)?) => {
        $(#[$meta])*
        pub struct $outer<'v, T: ?Sized $(, $ways)?>(pub(super) $inner<'v, T $(, $ways)?>);

        impl<'v, T: ?Sized $(, $ways)?> std::ops::Deref for $outer<'v, T $(, $ways)?> {
            type Target = $inner<'v, T $(, $ways)?>;

            #[inline]
            fn deref(&self) -> &$inner<'v, T $(, $ways)?> {
                &self.0
            }
        }
    };
}

/// Defines the methods of a wrapper for values of type `$ty`: record the value as an argument, as a
/// field, or as a return value.
macro_rules! records {
    (
        [$($generics:tt)*] $wrapper:ident<$ty:ty>, |$this:ident, $writer:ident| $write:expr
    ) => {
        impl<$($generics)*> $wrapper<'_, $ty> {
            /// Records the value as the argument `name`.
            pub fn __audited_record(
                &self,
                input: &mut $crate::call::input::InputBuffer,
                name: &'static str,
            ) {
                input.argument(name, |writer| self.write(writer));
            }

            /// Records the value as the field `name`.
            pub fn __audited_record_field(&self, input: &mut $crate::call::input::Input, name: &str) {
                input.field(name, |writer| self.write(writer));
            }

            /// Records the value as the return value, and how the call ended.
            pub fn __audited_record_output(&self, call: &mut $crate::call::lifecycle::Call) {
                $crate::call::probe::record_output::<$ty>(call, |writer| self.write(writer));
            }

            fn write(&self, $writer: $crate::capture::ValueWriter<'_>) {
                let $this = self;
                $write
            }
        }
    };
}
