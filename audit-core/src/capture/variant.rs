//! Finds out the variant of an enum, from the beginning of its `Debug` text.

use std::any::type_name;
use std::fmt::{self, Debug, Write as _};

use crate::capture::type_names::is_secret_type;
use crate::capture::user_code::run_user_code;

/// The longest name that is taken for a variant, in bytes.
const MAX_VARIANT_BYTES: usize = 128;

/// How the names begin of types that format as the value in them.
const POINTERS: &[&str] =
    &["&mut ", "&", "alloc::boxed::Box<", "alloc::rc::Rc<", "alloc::sync::Arc<"];

/// The variant of `value`: the identifier by which its `Debug` text begins, alone or in front of
/// ` {` or `(`.
///
/// `#[derive(Debug)]` writes the name of a struct in the same place. So the identifier must differ
/// from the name of the type. Behind `dyn` that name is not known, and the result is `None`. The
/// rest of the text is not formatted.
pub(crate) fn variant_name<T: Debug + ?Sized>(value: &T) -> Option<String> {
    let type_name = pointee(type_name::<T>());
    let path = &type_name[..type_name.find(['<', '>', ',', ' ', '(']).unwrap_or(type_name.len())];
    let (module, own_name) = path.rsplit_once("::")?;
    if module.is_empty() || is_secret_type::<T>() {
        return None;
    }
    let mut start = FirstIdentifier { text: String::new(), next: String::new() };
    // An error means that the identifier is complete, or that there is none.
    run_user_code(|| {
        let _ = write!(start, "{value:?}");
    })?;
    start.finish().filter(|name| name != own_name)
}

/// The name of the type behind references and smart pointers.
fn pointee(mut name: &str) -> &str {
    while let Some(inner) = POINTERS.iter().find_map(|pointer| name.strip_prefix(pointer)) {
        name = inner;
    }
    name
}

/// Collects the identifier at the start of a text and the two characters behind it, and then stops
/// the formatting.
struct FirstIdentifier {
    text: String,
    next: String,
}

impl fmt::Write for FirstIdentifier {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.next.is_empty() && (c.is_ascii_alphanumeric() || c == '_') {
                self.text.push(c);
            } else {
                self.next.push(c);
            }
            if self.next.len() >= 2 || self.next == "(" || self.text.len() > MAX_VARIANT_BYTES {
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

impl FirstIdentifier {
    fn finish(self) -> Option<String> {
        let Self { text, next } = self;
        let is_identifier = !text.is_empty()
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.len() <= MAX_VARIANT_BYTES;
        (is_identifier && ["", " {", "("].contains(&&*next)).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::error::Error;
    use std::fmt::Formatter;
    use std::sync::Arc;

    use super::*;

    #[derive(Debug)]
    enum Failure {
        Empty,
        Code(#[allow(dead_code)] u8),
        #[allow(non_camel_case_types, dead_code)]
        at_row {
            row: u32,
        },
        Nested(#[allow(dead_code)] Box<Failure>),
    }

    #[derive(Debug)]
    struct Plain(#[allow(dead_code)] Failure);

    /// Its `Debug` text is what it holds.
    struct Text(&'static str);

    impl Debug for Text {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    fn variant(value: &(impl Debug + ?Sized)) -> Option<String> {
        variant_name(value)
    }

    #[test]
    fn variants_of_each_form_are_found_also_behind_pointers() {
        assert_eq!(variant(&Failure::Empty).as_deref(), Some("Empty"));
        assert_eq!(variant(&Failure::Code(3)).as_deref(), Some("Code"));
        assert_eq!(variant(&Failure::at_row { row: 1 }).as_deref(), Some("at_row"));
        assert_eq!(variant(&Box::new(Failure::Empty)).as_deref(), Some("Empty"));
        assert_eq!(variant(&&Arc::new(Failure::Code(1))).as_deref(), Some("Code"));
        assert_eq!(variant(&Some(1)).as_deref(), Some("Some"));
        let nested = Failure::Nested(Box::new(Failure::Empty));
        assert_eq!(variant(&nested).as_deref(), Some("Nested"));
    }

    #[test]
    fn names_of_structs_and_other_texts_are_no_variants() {
        assert_eq!(variant(&Plain(Failure::Empty)), None);
        assert_eq!(variant(&Box::new(Plain(Failure::Empty))), None);
        assert_eq!(variant(&"u8".parse::<u8>().unwrap_err()), None);
        assert_eq!((variant("Empty"), variant(&String::from("Empty"))), (None, None));
        assert_eq!((variant(&true), variant(&f64::NAN), variant(&(1, 2))), (None, None, None));
        let error: Box<dyn Error + Send> = Box::new(fmt::Error);
        assert_eq!((variant(&error), variant(&*error)), (None, None));
        for text in ["", "7up", "no funds", "a::B", "Code[1]", "Code\n", "é", "Code {", "Code: 1"]
        {
            let expected = (text == "Code {").then(|| "Code".to_owned());
            assert_eq!(variant(&Text(text)), expected, "{text}");
        }
        assert_eq!(variant(&Text("Hidden")).as_deref(), Some("Hidden"));
    }

    #[test]
    fn nothing_behind_the_name_is_formatted() {
        struct Counted<'c>(&'c Cell<u32>);
        impl Debug for Counted<'_> {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                self.0.set(self.0.get() + 1);
                f.write_str("counted")
            }
        }
        let count = Cell::new(0);
        assert_eq!(variant(&Some(Counted(&count))).as_deref(), Some("Some"));
        assert_eq!(count.get(), 0);
    }

    #[test]
    fn a_debug_that_panics_or_never_ends_gives_no_variant() {
        struct Panics;
        impl Debug for Panics {
            fn fmt(&self, _: &mut Formatter<'_>) -> fmt::Result {
                panic!("no text")
            }
        }
        struct Endless;
        impl Debug for Endless {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("a")?;
                }
            }
        }
        assert_eq!((variant(&Panics), variant(&Endless)), (None, None));
    }
}
