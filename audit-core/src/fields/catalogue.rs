//! [`catalogue`]: every audited type and action of a program.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::call_site::CallSite;
use crate::fields::TypeInfo;

/// An audited function or type, entered into the catalogue by its attribute before `main` begins.
#[doc(hidden)]
#[derive(Debug)]
pub struct Entry {
    what: What,
    /// The one that was entered before, once this one is.
    next: OnceLock<Option<&'static Entry>>,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Site(&'static CallSite),
    Type(&'static TypeInfo),
}

/// The one that was entered last. A list through statics: before `main`, nothing should be allocated.
static LATEST: Mutex<Option<&'static Entry>> = Mutex::new(None);

#[doc(hidden)]
impl Entry {
    #[must_use]
    pub const fn site(site: &'static CallSite) -> Self {
        Self { what: What::Site(site), next: OnceLock::new() }
    }

    #[must_use]
    pub const fn of_type(info: &'static TypeInfo) -> Self {
        Self { what: What::Type(info), next: OnceLock::new() }
    }

    /// Enters it; a second time does nothing.
    pub fn register(&'static self) {
        let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
        if self.next.set(*latest).is_ok() {
            *latest = Some(self);
        }
    }
}

fn entries() -> impl Iterator<Item = What> {
    let latest = *LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    let next = |entry: &&'static Entry| entry.next.get().copied().flatten();
    std::iter::successors(latest, next).map(|entry| entry.what)
}

/// Everything that this program can put on the record by an attribute: the audited types with their fields, and
/// the actions.
///
/// Printed, it is one line for each type, field and action, sorted, with what is kept off the record, so that a project can commit it and see in review what its
/// audit trail gains and loses: compare it with the committed file in a test. What is in a crate that is linked
/// is listed, whether or not it is ever called; on systems other than Linux, Android, macOS, iOS, Windows
/// and the BSDs, nothing is.
///
/// ```
/// use audited::{audit_method, audited_fields};
///
/// #[audited_fields(name(was = "title"), ssn(redact); key = id, label = name)]
/// struct Pilot { id: u64, name: String, ssn: String }
///
/// #[audit_method(action = "promote pilot", capture = "input", skip(pin))]
/// fn promote(pilot: &mut Pilot, pin: u16) {}
///
/// let catalogue = audited::catalogue().to_string();
/// assert!(catalogue.contains("type Pilot (key id, label name)\n"));
/// assert!(catalogue.contains("  field name (was title)\n  field ssn (redacted)\n"));
/// let promote = catalogue.lines().find(|line| line.starts_with("action promote pilot (")).unwrap();
/// assert!(promote.ends_with("::promote, capture input; skip pin)"), "{promote}");
/// ```
///
/// As a test that fails when the trail gains or loses something, and renews the file when told to:
///
/// ```no_run
/// # #[allow(clippy::test_attr_in_doctest)]
/// #[test]
/// fn the_audit_trail_is_the_one_that_was_reviewed() {
///     let now = audited::catalogue().to_string();
///     if std::env::var_os("RENEW").is_some() {
///         std::fs::write("audit-catalogue.txt", &now).unwrap();
///     }
///     assert_eq!(std::fs::read_to_string("audit-catalogue.txt").unwrap(), now);
/// }
/// ```
#[must_use]
pub fn catalogue() -> Catalogue {
    let (mut types, mut sites) = (Vec::new(), Vec::new());
    for entry in entries() {
        match entry {
            What::Site(site) => sites.push(site),
            What::Type(info) => types.push(info),
        }
    }
    types.sort_by_key(|info| (info.name(), info.module(), info.rust_name()));
    sites.sort_by_key(|site| (site.action_name(), site.path()));
    Catalogue { types, sites }
}

/// What [`catalogue`] found.
#[derive(Clone, Debug)]
pub struct Catalogue {
    types: Vec<&'static TypeInfo>,
    sites: Vec<&'static CallSite>,
}

impl Catalogue {
    /// The audited types, by name.
    #[must_use]
    pub fn types(&self) -> &[&'static TypeInfo] {
        &self.types
    }

    /// The actions of audited functions, each with the function: `("promote pilot", "fleet::promote")`.
    pub fn actions(&self) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
        self.sites.iter().map(|site| (site.action_name(), site.path()))
    }
}

impl fmt::Display for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for info in &self.types {
            write!(f, "type {} (key {}", info.name(), info.key().join(", "))?;
            if let Some(label) = info.label() {
                write!(f, ", label {label}")?;
            }
            if let Some(parent) = info.parent() {
                write!(f, ", child of {parent}")?;
            }
            was(f, info.was())?;
            f.write_str(")\n")?;
            for field in info.fields() {
                write!(f, "  field {}", field.name())?;
                let mut notes = Vec::new();
                if field.is_redacted() {
                    notes.push("redacted".to_owned());
                }
                if field.is_set() {
                    notes.push("set".to_owned());
                }
                if !field.was().is_empty() {
                    notes.push(format!("was {}", field.was().join(", ")));
                }
                if !notes.is_empty() {
                    write!(f, " ({})", notes.join("; "))?;
                }
                f.write_str("\n")?;
            }
        }
        for site in &self.sites {
            write!(f, "action {} ({}", site.action_name(), site.path())?;
            site.describe(f)?;
            f.write_str(")\n")?;
        }
        Ok(())
    }
}

fn was(f: &mut fmt::Formatter<'_>, names: &[&str]) -> fmt::Result {
    if names.is_empty() { Ok(()) } else { write!(f, ", was {}", names.join(", ")) }
}
