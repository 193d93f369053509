//! What may stand for the object of a call.

use std::borrow::Cow;
use std::fmt::Display;

use crate::in_flight::{Target, short};

/// What may stand behind the word `target`: a type and an id, or a type, an id and a label.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the target of a call",
    note = "write `target = (type, id)` or `target = (type, id, label)`: the type a string, the rest `Display`"
)]
pub trait IntoTarget {
    /// Takes the parts.
    fn into_target(self) -> TargetParts;
}

/// The parts of a target.
pub struct TargetParts(pub(crate) Target);

#[diagnostic::do_not_recommend]
impl<T: AsRef<str> + ?Sized, I: Display + ?Sized> IntoTarget for (&T, &I) {
    fn into_target(self) -> TargetParts {
        TargetParts(Target {
            type_name: Cow::Owned(short(&self.0.as_ref())),
            id: short(&self.1),
            label: None,
        })
    }
}

#[diagnostic::do_not_recommend]
impl<T, I, L> IntoTarget for (&T, &I, &L)
where
    T: AsRef<str> + ?Sized,
    I: Display + ?Sized,
    L: Display + ?Sized,
{
    fn into_target(self) -> TargetParts {
        TargetParts(Target { label: Some(short(&self.2)), ..(self.0, self.1).into_target().0 })
    }
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str>, I: Display> IntoTarget for &(T, I) {
    fn into_target(self) -> TargetParts {
        (&self.0, &self.1).into_target()
    }
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str>, I: Display, L: Display> IntoTarget for &(T, I, L) {
    fn into_target(self) -> TargetParts {
        (&self.0, &self.1, &self.2).into_target()
    }
}
