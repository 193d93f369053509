//! [`CallSite`]: what the attribute knows about an audited function at compile time.
//!
//! The expansion of `audit_method` puts one [`CallSite`] into a static for each function. The call
//! site caches what does not change between calls: the path of the function, and whether the
//! recorder records it.

use std::any::type_name;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use audit_record::{Durability, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tracing::level_filters::LevelFilter;

/// How much of a call is recorded.
///
/// The levels are ordered: each one records everything that the level before it records. They are
/// set for all actions by [`AuditBuilder::capture`](crate::AuditBuilder::capture), and for one
/// action by the argument `capture` of its attribute. In text and with serde, a level has its
/// lower-case name, so it can be read from a configuration file:
///
/// ```
/// use audited::CaptureLevel;
///
/// let level: CaptureLevel = "input".parse()?;
/// assert_eq!(level, CaptureLevel::Input);
/// assert_eq!(CaptureLevel::Full.to_string(), "full");
/// assert!(CaptureLevel::Full > CaptureLevel::Metadata);
///
/// let error = "all".parse::<CaptureLevel>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "unknown capture level `all`: use `none`, `metadata`, `input` or `full`",
/// );
/// # Ok::<(), audited::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CaptureLevel {
    /// The call is not recorded.
    None,
    /// The call is recorded without its arguments and its return value.
    Metadata,
    /// The arguments are recorded, too.
    Input,
    /// The return value is recorded, too.
    Full,
}

impl CaptureLevel {
    const ALL: [Self; 4] = [Self::None, Self::Metadata, Self::Input, Self::Full];

    /// The name of the level, as it is written in the attribute.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Metadata => "metadata",
            Self::Input => "input",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for CaptureLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for CaptureLevel {
    type Err = Error;

    /// Parses the lower-case name of a level.
    ///
    /// # Errors
    ///
    /// If `text` is not one of the four names. The error lists them.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or_else(|| {
            Error::permanent(format!(
                "unknown capture level `{text}`: use `none`, `metadata`, `input` or `full`"
            ))
        })
    }
}

impl Serialize for CaptureLevel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for CaptureLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What the attribute knows about an audited function at compile time. Only its expansion creates
/// one.
#[derive(Debug)]
pub struct CallSite {
    module: &'static str,
    name: &'static str,
    /// The type name of a closure in the static that holds this call site, which is in the function.
    place: fn() -> &'static str,
    action: Option<&'static str>,
    capture: Option<CaptureLevel>,
    log: Option<LevelFilter>,
    durability: Option<Durability>,
    /// Whether a call is refused if its intent cannot be stored.
    refuses: bool,
    /// The arguments of the attribute that exclude something from the record.
    leaves_out: &'static str,
    /// `module::name`, created when it is first needed.
    default_action: OnceLock<String>,
    /// The path of the function as it is declared, created when it is first needed.
    declared_method: OnceLock<&'static str>,
    /// The paths of the function, found at its first call.
    method: OnceLock<Box<MethodPath>>,
    /// The cached decision of one recorder: its generation, and a [`CaptureLevel`] in the two low
    /// bits.
    decision: AtomicU64,
    is_log_announced: AtomicBool,
}

/// The path of a function, for one type name of its body.
///
/// A generic function, or a default method of a trait, has one static for all types that it is
/// compiled for. But it has one path for each type: `<Cat as Animal>::feed`. So the paths form a
/// linked list, which is short and only grows.
#[derive(Debug)]
struct MethodPath {
    body: &'static str,
    method: &'static str,
    next: OnceLock<Box<MethodPath>>,
}

impl CallSite {
    /// The call site of the function `name` in `module`. `_place` is a closure in the initializer of
    /// the static that holds the call site: its type has the function's path as its name.
    #[must_use]
    pub const fn new<P>(module: &'static str, name: &'static str, _place: &P) -> Self {
        Self {
            module,
            name,
            place: type_name::<P>,
            action: None,
            capture: None,
            log: None,
            durability: None,
            refuses: false,
            leaves_out: "",
            default_action: OnceLock::new(),
            declared_method: OnceLock::new(),
            method: OnceLock::new(),
            decision: AtomicU64::new(0),
            is_log_announced: AtomicBool::new(false),
        }
    }

    /// The argument `action`.
    #[must_use]
    pub const fn action(self, action: &'static str) -> Self {
        // `..self` does not compile: a const fn cannot drop the rest of `self`.
        let mut site = self;
        site.action = Some(action);
        site
    }

    /// The argument `capture`.
    #[must_use]
    pub const fn capture(self, level: CaptureLevel) -> Self {
        let mut site = self;
        site.capture = Some(level);
        site
    }

    /// The argument `log`.
    #[must_use]
    pub const fn log(self, level: LevelFilter) -> Self {
        let mut site = self;
        site.log = Some(level);
        site
    }

    /// The argument `durability`.
    #[must_use]
    pub const fn durability(self, level: Durability) -> Self {
        let mut site = self;
        site.durability = Some(level);
        site
    }

    /// The argument `on_audit_failure = "refuse"`.
    #[must_use]
    pub const fn refuses(self) -> Self {
        let mut site = self;
        site.refuses = true;
        site
    }

    /// The arguments of the attribute that exclude something from the record: `skip db; redact
    /// pin`.
    #[must_use]
    pub const fn leaves_out(self, arguments: &'static str) -> Self {
        let mut site = self;
        site.leaves_out = arguments;
        site
    }

    pub(crate) fn action_name(&'static self) -> &'static str {
        self.action.unwrap_or_else(|| self.path())
    }

    #[inline]
    pub(crate) fn capture_level(&self) -> Option<CaptureLevel> {
        self.capture
    }

    pub(crate) fn durability_level(&self) -> Option<Durability> {
        self.durability
    }

    pub(crate) fn is_refusing(&self) -> bool {
        self.refuses
    }

    /// The argument `log`. The first call also enables events of this level for all subscribers.
    pub(crate) fn log_level(&self) -> Option<LevelFilter> {
        if let Some(level) = self.log
            && !self.is_log_announced.swap(true, Ordering::Relaxed)
        {
            crate::levels::raise_max_level(level);
        }
        self.log
    }

    /// The path of the function whose body has the type name `body`.
    pub(crate) fn method(&'static self, body: &'static str) -> &'static str {
        let mut slot = &self.method;
        loop {
            let path = slot.get_or_init(|| {
                Box::new(MethodPath { body, method: method_of(body), next: OnceLock::new() })
            });
            if std::ptr::eq(path.body, body) || path.body == body {
                return path.method;
            }
            slot = &path.next;
        }
    }

    /// The path of the function as it is declared.
    ///
    /// It is the path that calls have, except for a default method of a trait, and for a method that
    /// is implemented for a type parameter: calls of these have the path for their type.
    pub(crate) fn declared_method(&'static self) -> &'static str {
        self.declared_method.get_or_init(|| {
            let place = without_closures((self.place)());
            // The static is in the function, or in the block of an `async fn`.
            method_of(place.rsplit_once("::").map_or(place, |(function, _)| function))
        })
    }

    /// The path of the function, for a call that ends before its body runs: the first path that is
    /// known, or else the one that is declared.
    pub(crate) fn method_or_declared(&'static self) -> &'static str {
        match self.method.get() {
            Some(path) => path.method,
            None => self.declared_method(),
        }
    }

    /// `module::name`, as it is written in the program.
    pub(crate) fn path(&'static self) -> &'static str {
        self.default_action.get_or_init(|| format!("{}::{}", self.module, self.name))
    }

    /// Writes the arguments of the attribute that say how much is recorded, for the catalogue.
    pub(crate) fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(level) = self.capture {
            write!(f, ", capture {}", level.as_str())?;
        }
        if let Some(level) = self.log {
            write!(f, ", log {level}")?;
        }
        if let Some(level) = self.durability {
            write!(f, ", durability {level}")?;
        }
        if self.refuses {
            f.write_str(", on_audit_failure refuse")?;
        }
        if !self.leaves_out.is_empty() {
            write!(f, "; {}", self.leaves_out)?;
        }
        Ok(())
    }

    /// The decision that the recorder with this `generation` has cached.
    pub(crate) fn decided(&self, generation: u64) -> Option<CaptureLevel> {
        let decision = self.decision.load(Ordering::Relaxed);
        (decision >> 2 == generation).then(|| CaptureLevel::ALL[(decision & 3) as usize])
    }

    /// Caches the decision of the recorder with this `generation`.
    pub(crate) fn decide(&self, generation: u64, level: CaptureLevel) {
        self.decision.store(generation << 2 | level as u64, Ordering::Relaxed);
    }
}

/// Converts the type name of a body to the path of its function: removes the closures around the
/// body, and all type arguments.
///
/// | type name | path |
/// |---|---|
/// | `bank::Account<T>::pay::{{closure}}` | `bank::Account::pay` |
/// | `<bank::Account<T> as bank::Ledger>::post` | `<bank::Account as bank::Ledger>::post` |
/// | `bank::eu::<impl bank::Account<T>>::tax` | `bank::Account::tax` |
/// | `bank::eu::<impl bank::Ledger for bank::Account<T>>::post` | `<bank::Account as bank::Ledger>::post` |
///
/// The last two are the names in an `impl` that is in another module than its type.
fn method_of(body: &'static str) -> &'static str {
    let path = without_closures(body);
    if !path.contains('<') {
        return path;
    }
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    if let Some((_, elsewhere)) = path.split_once("::<impl ") {
        let end = end_of_brackets(elsewhere);
        match split_outside_brackets(&elsewhere[..end], " for ") {
            Some((of_trait, implementor)) => push_qualified(implementor, of_trait, &mut plain),
            None => push_without_type_arguments(&elsewhere[..end], &mut plain),
        }
        rest = &elsewhere[end + 1..];
    } else if let Some(qualified) = path.strip_prefix('<') {
        let end = end_of_brackets(qualified);
        let parts = split_outside_brackets(&qualified[..end], " as ");
        if let Some((implementor, of_trait)) = parts {
            push_qualified(implementor, of_trait, &mut plain);
            rest = &qualified[end + 1..];
        }
    }
    push_without_type_arguments(rest, &mut plain);
    // Leaked once for each audited function and type; the call site refers to it for ever.
    Box::leak(plain.into_boxed_str())
}

fn without_closures(mut path: &'static str) -> &'static str {
    while let Some(outer) = path.strip_suffix("::{{closure}}") {
        path = outer;
    }
    path
}

/// Writes `<implementor as of_trait>`.
fn push_qualified(implementor: &str, of_trait: &str, plain: &mut String) {
    plain.push('<');
    push_without_type_arguments(implementor, plain);
    plain.push_str(" as ");
    push_without_type_arguments(of_trait, plain);
    plain.push('>');
}

/// Where the bracket ends whose content `text` begins with.
fn end_of_brackets(text: &str) -> usize {
    places_with_depth(text).find(|&(_, depth)| depth < 0).map_or(text.len() - 1, |(at, _)| at)
}

/// Splits at the first `separator` that is not in brackets.
fn split_outside_brackets<'t>(text: &'t str, separator: &str) -> Option<(&'t str, &'t str)> {
    let mut places = places_with_depth(text);
    let (at, _) = places.find(|&(at, depth)| depth == 0 && text[at..].starts_with(separator))?;
    Some((&text[..at], &text[at + separator.len()..]))
}

/// Each place in `text`, and how many angle brackets are open after it. The `>` of `->` is none.
fn places_with_depth(text: &str) -> impl Iterator<Item = (usize, i32)> + '_ {
    let mut depth = 0;
    text.char_indices().map(move |(at, c)| {
        match c {
            '<' => depth += 1,
            '>' if !text[..at].ends_with('-') => depth -= 1,
            _ => {}
        }
        (at, depth)
    })
}

fn push_without_type_arguments(path: &str, plain: &mut String) {
    let mut depth = 0_usize;
    let mut before = ' ';
    for c in path.chars() {
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
        before = c;
    }
}

#[cfg(test)]
mod tests {
    use super::method_of;

    #[test]
    fn the_method_is_the_path_of_the_function_without_type_arguments() {
        for (body, method) in [
            ("bank::pay::{{closure}}", "bank::pay"),
            ("bank::pay::{{closure}}::{{closure}}", "bank::pay"),
            ("bank::Account<bank::Eur>::pay<u64>::{{closure}}", "bank::Account::pay"),
            (
                "<bank::Account<T> as bank::Ledger<Vec<u8>>>::post::{{closure}}",
                "<bank::Account as bank::Ledger>::post",
            ),
            ("<fn(u8) -> u8 as bank::Rate>::of::{{closure}}", "<fn(u8) -> u8 as bank::Rate>::of"),
            ("bank::eu::<impl bank::Account<T>>::tax::{{closure}}", "bank::Account::tax"),
            (
                "bank::eu::<impl bank::Ledger<u8> for bank::Account<T>>::post<fn() -> T>::{{closure}}",
                "<bank::Account as bank::Ledger>::post",
            ),
            (
                "bank::<impl bank::Rate for for<'a> fn(&'a u8) -> u8>::of::inner",
                "<for fn(&'a u8) -> u8 as bank::Rate>::of::inner",
            ),
        ] {
            assert_eq!(method_of(body), method);
        }
    }
}
