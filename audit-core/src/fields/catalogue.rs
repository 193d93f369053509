//! [`catalogue`]: the list of all audited types and actions of a program.
//!
//! Each attribute emits a static [`CatalogueEntry`] and code that registers it before `main`.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::call_site::CallSite;
use crate::fields::TypeInfo;

/// An audited function or type, which its attribute registers before `main` starts.
#[doc(hidden)]
#[derive(Debug)]
pub struct CatalogueEntry {
    item: AuditedItem,
    /// The entry that was registered before this one. Set when this one is registered.
    next: OnceLock<Option<&'static CatalogueEntry>>,
}

#[derive(Clone, Copy, Debug)]
enum AuditedItem {
    Site(&'static CallSite),
    Type(&'static TypeInfo),
}

/// The entry that was registered last. The entries form a linked list through statics, because
/// nothing should be allocated before `main`.
static LATEST: Mutex<Option<&'static CatalogueEntry>> = Mutex::new(None);

#[doc(hidden)]
impl CatalogueEntry {
    #[must_use]
    pub const fn site(site: &'static CallSite) -> Self {
        Self { item: AuditedItem::Site(site), next: OnceLock::new() }
    }

    #[must_use]
    pub const fn of_type(info: &'static TypeInfo) -> Self {
        Self { item: AuditedItem::Type(info), next: OnceLock::new() }
    }

    /// Adds the entry to the list. Registering it again has no effect.
    pub fn register(&'static self) {
        let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
        if self.next.set(*latest).is_ok() {
            *latest = Some(self);
        }
    }
}

fn entries() -> impl Iterator<Item = AuditedItem> {
    let latest = *LATEST.lock().unwrap_or_else(PoisonError::into_inner);
    let next = |entry: &&'static CatalogueEntry| entry.next.get().copied().flatten();
    std::iter::successors(latest, next).map(|entry| entry.item)
}

/// Lists what this program audits by attributes: the types with their fields, and the actions.
///
/// Its text has one line for each type, field and action, in sorted order, and says which values
/// are not recorded. Commit this text, and compare it in a test. Then a code review shows how a
/// change of the program changes its audit trail.
///
/// The list contains every attribute of every linked crate, whether or not the function is ever
/// called. It is empty on systems other than Linux, Android, macOS, iOS, Windows and the BSDs.
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
/// A test that fails when the catalogue changes, and updates the file if `RENEW` is set:
///
/// ```no_run
/// # #[allow(clippy::test_attr_in_doctest)]
/// #[test]
/// fn the_catalogue_is_the_reviewed_one() {
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
            AuditedItem::Site(site) => sites.push(site),
            AuditedItem::Type(info) => types.push(info),
        }
    }
    types.sort_by_key(|info| (info.name(), info.module(), info.rust_name()));
    sites.sort_by_key(|site| (site.action_name(), site.declared_method()));
    Catalogue { types, sites }
}

/// The audited types and actions of a program; from [`catalogue`].
#[derive(Clone, Debug)]
pub struct Catalogue {
    types: Vec<&'static TypeInfo>,
    sites: Vec<&'static CallSite>,
}

impl Catalogue {
    /// The audited types, sorted by name.
    #[must_use]
    pub fn types(&self) -> &[&'static TypeInfo] {
        &self.types
    }

    /// The actions, each with its function, sorted: `("promote pilot", "fleet::promote")`.
    pub fn actions(&self) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
        self.sites.iter().map(|site| (site.action_name(), site.declared_method()))
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
            write_former_names(f, info.former_names())?;
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
                if !field.former_names().is_empty() {
                    notes.push(format!("was {}", field.former_names().join(", ")));
                }
                if !notes.is_empty() {
                    write!(f, " ({})", notes.join("; "))?;
                }
                f.write_str("\n")?;
            }
        }
        for site in &self.sites {
            write!(f, "action {} ({}", site.action_name(), site.declared_method())?;
            site.describe(f)?;
            f.write_str(")\n")?;
        }
        Ok(())
    }
}

fn write_former_names(f: &mut fmt::Formatter<'_>, names: &[&str]) -> fmt::Result {
    if names.is_empty() { Ok(()) } else { write!(f, ", was {}", names.join(", ")) }
}
