//! [`Delta`]: gathers what differs between two states of an object.

use std::borrow::Cow;

use audit_record::private::json::write_str;
use audit_record::private::path::{first_segment, split_first};
use audit_record::{ChangeKind, FieldChange, Json, Truncation};
use chrono::{DateTime, Utc};

use crate::capture::{Mask, REDACTED, Rules};
use crate::fields::{FieldInfo, TypeInfo};
use crate::value::{Tree, diff};

/// Where the fields of an object go that are to be recorded. Filled by the attribute's expansion.
pub struct Delta<'r> {
    info: &'static TypeInfo,
    rules: &'r Rules,
    out: Out,
}

enum Out {
    /// To be recorded.
    Rows { rows: Vec<Row>, cuts: Vec<Truncation>, kind: ChangeKind },
    /// Kept as they are, to be compared later.
    Values(Values),
}

struct Row {
    path: Cow<'static, str>,
    before: Option<Json>,
    after: Option<Json>,
}

/// All audited fields of an object, by their place in the type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(Vec<Option<Tree>>);

/// What is to be recorded of one object.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) rows: Vec<RowParts>,
    pub(crate) cuts: Vec<Truncation>,
}

pub(crate) type RowParts = (Cow<'static, str>, Option<Json>, Option<Json>);

impl<'r> Delta<'r> {
    /// Gathers the fields of an object to which `kind` happens.
    pub(crate) fn rows(info: &'static TypeInfo, rules: &'r Rules, kind: ChangeKind) -> Self {
        Self { info, rules, out: Out::Rows { rows: Vec::new(), cuts: Vec::new(), kind } }
    }

    /// Keeps the fields of an object.
    pub(crate) fn values(info: &'static TypeInfo, rules: &'r Rules) -> Self {
        let values = vec![None; info.fields().len()];
        Self { info, rules, out: Out::Values(Values(values)) }
    }

    pub(crate) fn into_rows(self) -> Rows {
        match self.out {
            Out::Rows { rows, cuts, .. } => Rows {
                rows: rows.into_iter().map(|row| (row.path, row.before, row.after)).collect(),
                cuts,
            },
            Out::Values(_) => Rows::default(),
        }
    }

    pub(crate) fn into_values(self) -> Values {
        match self.out {
            Out::Values(values) => values,
            Out::Rows { .. } => Values::default(),
        }
    }

    /// Gathers what differs between two states that were kept.
    pub(crate) fn compare(&mut self, before: &Values, after: &Values) {
        for (index, (before, after)) in before.0.iter().zip(&after.0).enumerate() {
            if let (Some(before), Some(after)) = (before, after)
                && before != after
            {
                self.differs(index, before, after);
            }
        }
    }

    /// The names that are hidden inside values.
    pub(crate) fn mask(&self) -> &'r Mask {
        &self.rules.mask
    }

    /// Whether the values of the field at `index` are never shown.
    pub(crate) fn hides(&self, index: usize) -> bool {
        let field = &self.info.fields()[index];
        let is_masked = |name| self.rules.mask.matches_static(name);
        // Under another name it is the same secret.
        field.is_redacted()
            || is_masked(field.name())
            || (field.rust_name() != field.name() && is_masked(field.rust_name()))
    }

    /// The field at `index` has another value than before, and it is not shown.
    pub(crate) fn changed_unseen(&mut self, index: usize) {
        self.push(name(&self.info.fields()[index]), Some(redacted()), Some(redacted()));
    }

    /// The field at `index` may have another value than before: by the type's own `==` where it has one, and
    /// here by what is recorded of it. `is_itself` tells whether the value equals itself, which one with a
    /// NaN in it does not.
    pub(crate) fn changed(
        &mut self,
        index: usize,
        before: Tree,
        after: Tree,
        is_itself: impl FnOnce() -> bool,
    ) {
        let (before, after) = (self.shaped(index, before), self.shaped(index, after));
        if before != after {
            self.differs(index, &before, &after);
        } else if after.hides_something() && is_itself() {
            // Something that shows itself to nobody differs in it.
            let field = name(&self.info.fields()[index]);
            let (before, after) = (self.json(&field, &before), self.json(&field, &after));
            self.push(field, Some(before), Some(after));
        }
    }

    fn differs(&mut self, index: usize, before: &Tree, after: &Tree) {
        if self.hides(index) {
            return self.changed_unseen(index);
        }
        let field = self.info.fields()[index].name();
        for step in diff(field, before, after, self.rules.limits.length) {
            let (before, after) = (
                step.before.map(|tree| self.json(&step.path, tree)),
                step.after.map(|tree| self.json(&step.path, tree)),
            );
            self.push(step.path.into(), before, after);
        }
    }

    /// The field at `index` has this value: what an object is created with, or what it had.
    pub(crate) fn value(&mut self, index: usize, value: impl FnOnce(&Mask) -> Tree) {
        let hidden = self.hides(index);
        let tree = value(&self.rules.mask);
        let tree = self.shaped(index, tree);
        if let Out::Values(values) = &mut self.out {
            values.0[index] = Some(if hidden { tree.into_secret() } else { tree });
            return;
        }
        let field = name(&self.info.fields()[index]);
        let json = if hidden { redacted() } else { self.json(&field, &tree) };
        match &self.out {
            Out::Rows { kind: ChangeKind::Deleted, .. } => self.push(field, Some(json), None),
            _ => self.push(field, None, Some(json)),
        }
    }

    fn shaped(&self, index: usize, tree: Tree) -> Tree {
        if self.info.fields()[index].is_set() { tree.into_set() } else { tree }
    }

    fn json(&mut self, path: &str, tree: &Tree) -> Json {
        match &mut self.out {
            Out::Rows { cuts, .. } => tree.to_json(self.rules, &format!("changes.{path}"), cuts),
            Out::Values(_) => redacted(),
        }
    }

    fn push(&mut self, path: Cow<'static, str>, before: Option<Json>, after: Option<Json>) {
        if let Out::Rows { rows, .. } = &mut self.out {
            rows.push(Row { path, before, after });
        }
    }
}

/// The path of an object of which it is told that it began or ended, and no field.
pub(crate) const ITSELF: &str = "";

impl Rows {
    /// Whether there is anything to record of an object to which `kind` happened.
    pub(crate) fn tell(&self, kind: ChangeKind) -> bool {
        kind != ChangeKind::Changed || !self.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.cuts.is_empty()
    }

    /// Says that the object has another id from now on, unless the fields of its key are audited and say so.
    pub(crate) fn key_changed(&mut self, info: &TypeInfo, before: &str, after: &str) {
        if before == after {
            return;
        }
        let recorded = |key: &'static str| {
            let field = info.fields().iter().find(|field| field.rust_name() == key);
            field.map_or(key, FieldInfo::name)
        };
        let keys: Vec<&str> = info.key().iter().map(|key| recorded(key)).collect();
        let is_told = |(path, _, _): &RowParts| {
            split_first(path).is_some_and(|(name, _)| keys.iter().any(|key| *key == name))
        };
        if self.rows.iter().any(is_told) {
            return;
        }
        let is_one = keys.len() == 1 && info.parent().is_none();
        // As texts, unless they can only be numbers.
        let are_numbers = is_one && is_integer(before) && is_integer(after);
        let json = |id: &str| {
            let mut text = String::new();
            if are_numbers {
                text.push_str(id)
            } else {
                write_str(&mut text, id)
            }
            Json::trusted(text)
        };
        let path = first_segment(&keys.join("/"));
        self.rows.push((path.into(), Some(json(before)), Some(json(after))));
    }

    /// Says that the fields could not be compared, for the code that compares them panicked.
    pub(crate) fn not_told(&mut self) {
        self.cuts.push(Truncation::new("changes", "fields", self.rows.len() as u64, None));
    }

    /// As changes of one object at one time.
    pub(crate) fn into_changes(
        self,
        target_type: Cow<'static, str>,
        target_id: &str,
        kind: ChangeKind,
        at: DateTime<Utc>,
    ) -> (Vec<FieldChange>, Vec<Truncation>) {
        let change = |(path, before, after)| {
            FieldChange::new(target_type.clone(), target_id, kind, path, before, after, at)
        };
        let mut changes: Vec<_> = self.rows.into_iter().map(change).collect();
        if changes.is_empty() && kind != ChangeKind::Changed {
            changes.push(change((ITSELF.into(), None, None)));
        }
        (changes, self.cuts)
    }
}

/// Whether `id` is how an integer is written.
fn is_integer(id: &str) -> bool {
    id.parse::<u64>().is_ok_and(|number| number.to_string() == id)
        || id.parse::<i64>().is_ok_and(|number| number.to_string() == id)
}

/// The field's name as a path.
fn name(field: &FieldInfo) -> Cow<'static, str> {
    match audit_record::private::path::is_plain(field.name()) {
        true => Cow::Borrowed(field.name()),
        false => Cow::Owned(audit_record::private::path::first_segment(field.name())),
    }
}

pub(crate) fn redacted() -> Json {
    Json::trusted(format!("\"{REDACTED}\""))
}
