//! [`Site`]: what is known of an audited function when the program is compiled.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use audit_record::Durability;
use tracing::level_filters::LevelFilter;

/// How much of a call is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CaptureLevel {
    /// Nothing: the call is not on the record.
    None,
    /// Who, what, when, from where and how it ended, but neither arguments nor the value returned.
    Metadata,
    /// The arguments as well.
    Input,
    /// The value returned as well.
    Full,
}

impl CaptureLevel {
    const ALL: [Self; 4] = [Self::None, Self::Metadata, Self::Input, Self::Full];

    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Metadata => "metadata",
            Self::Input => "input",
            Self::Full => "full",
        }
    }
}

/// The static part of an audited function. Made by the attribute only.
#[derive(Debug)]
pub struct Site {
    module: &'static str,
    name: &'static str,
    action: Option<&'static str>,
    capture: Option<CaptureLevel>,
    log: Option<LevelFilter>,
    durability: Option<Durability>,
    /// Whether a call that can't be put on the record first is not made.
    refuses: bool,
    /// The words that keep something off the record.
    leaves_out: &'static str,
    /// `module::name`, made when first needed.
    default_action: OnceLock<String>,
    /// The paths of the function with its type, found when first called.
    method: OnceLock<Box<Named>>,
    /// The decision of one recorder: its generation, and a [`CaptureLevel`] in the low bits.
    decision: AtomicU64,
    log_announced: AtomicBool,
}

/// The path of a function, for one type name of its body.
///
/// A static in a generic function, or in a default method of a trait, is one for all the types that it is
/// compiled for, while the path is not: `<Cat as Animal>::feed`. So there is a list; it is short, and it
/// only grows.
#[derive(Debug)]
struct Named {
    body: &'static str,
    method: &'static str,
    next: OnceLock<Box<Named>>,
}

impl Site {
    /// A site for the function `name` in `module`.
    #[must_use]
    pub const fn new(module: &'static str, name: &'static str) -> Self {
        Self {
            module,
            name,
            action: None,
            capture: None,
            log: None,
            durability: None,
            refuses: false,
            leaves_out: "",
            default_action: OnceLock::new(),
            method: OnceLock::new(),
            decision: AtomicU64::new(0),
            log_announced: AtomicBool::new(false),
        }
    }

    /// The word `action`.
    #[must_use]
    pub const fn action(self, action: &'static str) -> Self {
        // Rebuilt field by field: a const fn can't drop what `..self` would leave over.
        let mut site = self;
        site.action = Some(action);
        site
    }

    /// The word `capture`.
    #[must_use]
    pub const fn capture(self, level: CaptureLevel) -> Self {
        let mut site = self;
        site.capture = Some(level);
        site
    }

    /// The word `log`.
    #[must_use]
    pub const fn log(self, level: LevelFilter) -> Self {
        let mut site = self;
        site.log = Some(level);
        site
    }

    /// The word `durability`.
    #[must_use]
    pub const fn durability(self, level: Durability) -> Self {
        let mut site = self;
        site.durability = Some(level);
        site
    }

    /// The words `on_audit_failure = "refuse"`.
    #[must_use]
    pub const fn refuses(self) -> Self {
        let mut site = self;
        site.refuses = true;
        site
    }

    /// The words that keep something off the record: `skip db; redact pin`.
    #[must_use]
    pub const fn leaves_out(self, words: &'static str) -> Self {
        let mut site = self;
        site.leaves_out = words;
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

    /// The word `log`; the first time, the layer is told that such events are wanted.
    pub(crate) fn log_level(&self) -> Option<LevelFilter> {
        if let Some(level) = self.log
            && !self.log_announced.swap(true, Ordering::Relaxed)
        {
            crate::levels::want(level);
        }
        self.log
    }

    /// The path of the function whose body has the type name `body`.
    pub(crate) fn method(&'static self, body: &'static str) -> &'static str {
        let mut slot = &self.method;
        loop {
            let named = slot.get_or_init(|| {
                Box::new(Named { body, method: method_of(body), next: OnceLock::new() })
            });
            if std::ptr::eq(named.body, body) || named.body == body {
                return named.method;
            }
            slot = &named.next;
        }
    }

    /// The function's path before its body has run, for a call that ends earlier.
    pub(crate) fn method_or_name(&'static self) -> &'static str {
        match self.method.get() {
            Some(named) => named.method,
            None => self.path(),
        }
    }

    /// `module::name`, as it stands in the program.
    pub(crate) fn path(&'static self) -> &'static str {
        self.default_action.get_or_init(|| format!("{}::{}", self.module, self.name))
    }

    /// The words that say how much is recorded.
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

    pub(crate) fn decided(&self, generation: u64) -> Option<CaptureLevel> {
        let decision = self.decision.load(Ordering::Relaxed);
        (decision >> 2 == generation).then(|| CaptureLevel::ALL[(decision & 3) as usize])
    }

    pub(crate) fn decide(&self, generation: u64, level: CaptureLevel) {
        self.decision.store(generation << 2 | level as u64, Ordering::Relaxed);
    }
}

/// `bank::Account<T>::pay::{{closure}}` → `bank::Account::pay`: the compiler's name of the body, without
/// the closures around it and without type arguments.
fn method_of(body: &'static str) -> &'static str {
    let mut path = body;
    while let Some(outer) = path.strip_suffix("::{{closure}}") {
        path = outer;
    }
    if !path.contains('<') {
        return path;
    }
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    // `<bank::Account<T> as bank::Ledger<T>>::post`: the outer brackets are part of the name.
    if rest.starts_with('<') {
        plain.push('<');
        rest = &rest[1..];
        let mut depth = 1_usize;
        for (at, c) in rest.char_indices() {
            match c {
                '<' => depth += 1,
                '>' if !rest[..at].ends_with('-') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                without_arguments(&rest[..at], &mut plain);
                plain.push('>');
                rest = &rest[at + 1..];
                break;
            }
        }
    }
    without_arguments(rest, &mut plain);
    // Once for each audited function, for as long as the program runs.
    Box::leak(plain.into_boxed_str())
}

fn without_arguments(path: &str, plain: &mut String) {
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
    fn the_method_is_the_path_of_the_function() {
        for (body, method) in [
            ("bank::pay::{{closure}}", "bank::pay"),
            ("bank::pay::{{closure}}::{{closure}}", "bank::pay"),
            ("bank::Account<bank::Eur>::pay<u64>::{{closure}}", "bank::Account::pay"),
            (
                "<bank::Account<T> as bank::Ledger<Vec<u8>>>::post::{{closure}}",
                "<bank::Account as bank::Ledger>::post",
            ),
            ("<fn(u8) -> u8 as bank::Rate>::of::{{closure}}", "<fn(u8) -> u8 as bank::Rate>::of"),
        ] {
            assert_eq!(method_of(body), method);
        }
    }
}
