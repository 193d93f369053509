//! [`FieldVisitor`]: receives the fields of an object from the attribute's expansion.

use std::borrow::Cow;

use audit_record::private::path::{first_segment, is_plain};
use audit_record::{ChangeKind, Json, Truncation};

use crate::capture::{self, Mask, Rules};
use crate::fields::{ChangedField, ChangedFields, FieldInfo, TypeInfo, redaction_mark};
use crate::value::{Tree, diff};

/// Receives the fields of an object, and either records how they differ or keeps their values.
pub struct FieldVisitor<'r> {
    info: &'static TypeInfo,
    rules: &'r Rules,
    output: Output<'r>,
}

enum Output<'r> {
    /// Recorded forms of the fields, for a change of this kind.
    Changes(&'r mut ChangedFields, ChangeKind),
    /// The values themselves, to be compared later.
    Values(&'r mut FieldValues),
}

/// The values of all audited fields of an object, in the order of the type's fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldValues(Vec<Option<Tree>>);

impl FieldVisitor<'_> {
    /// What `visit` passes to the visitor, as a change of this kind. The result is marked as
    /// incomplete if `visit` panics.
    #[inline]
    pub(crate) fn changes(
        info: &'static TypeInfo,
        rules: &Rules,
        kind: ChangeKind,
        visit: impl FnOnce(&mut FieldVisitor<'_>),
    ) -> ChangedFields {
        let mut changed = ChangedFields::default();
        let output = Output::Changes(&mut changed, kind);
        let mut visitor = FieldVisitor { info, rules, output };
        if capture::run_user_code(|| visit(&mut visitor)).is_none() {
            changed.mark_incomplete();
        }
        changed
    }

    /// The values that `visit` passes to the visitor. `None` if it panics.
    pub(crate) fn values(
        info: &'static TypeInfo,
        rules: &Rules,
        visit: impl FnOnce(&mut FieldVisitor<'_>),
    ) -> Option<FieldValues> {
        let mut values = FieldValues(vec![None; info.fields().len()]);
        let mut visitor = FieldVisitor { info, rules, output: Output::Values(&mut values) };
        capture::run_user_code(|| visit(&mut visitor))?;
        Some(values)
    }
}

impl<'r> FieldVisitor<'r> {
    /// The names whose values are hidden.
    pub(crate) fn mask(&self) -> &'r Mask {
        &self.rules.mask
    }

    /// Receives a change of the field at `index` whose values are not recorded.
    pub(crate) fn changed_redacted(&mut self, index: usize) {
        let path = field_path(&self.info.fields()[index]);
        self.push(path, Some(redaction_mark()), Some(redaction_mark()));
    }

    /// Receives the values of the field at `index` before and after a possible change.
    ///
    /// The caller has compared the values themselves; here their recorded forms are compared.
    /// `equals_itself` returns whether the value is equal to itself. A value with a NaN is not.
    pub(crate) fn changed(
        &mut self,
        index: usize,
        before: Tree,
        after: Tree,
        equals_itself: impl FnOnce() -> bool,
    ) {
        let (before, after) = (self.normalized(index, before), self.normalized(index, after));
        if before != after {
            self.push_differences(index, &before, &after);
        } else if after.hides_something() && equals_itself() {
            // The difference must be in a hidden part, of which the recorded form shows nothing.
            let path = field_path(&self.info.fields()[index]);
            let (before, after) = (self.json(&path, &before), self.json(&path, &after));
            self.push(path, Some(before), Some(after));
        }
    }

    /// Receives the value of the field at `index`, of an object that was created or deleted or
    /// whose values are kept.
    pub(crate) fn value(&mut self, index: usize, value: impl FnOnce(&Mask) -> Tree) {
        let is_redacted = self.is_redacted(index);
        let tree = value(&self.rules.mask);
        let tree = self.normalized(index, tree);
        if let Output::Values(values) = &mut self.output {
            values.0[index] = Some(if is_redacted { tree.into_secret() } else { tree });
            return;
        }
        let path = field_path(&self.info.fields()[index]);
        let json = if is_redacted { redaction_mark() } else { self.json(&path, &tree) };
        match &self.output {
            Output::Changes(_, ChangeKind::Deleted) => self.push(path, Some(json), None),
            _ => self.push(path, None, Some(json)),
        }
    }

    /// Receives that the value of the field at `index` is not known, now or before: it is a lock
    /// that is held.
    pub(crate) fn unknown(&mut self, index: usize) {
        if let Output::Changes(changes, _) = &mut self.output {
            let path = format!("changes.{}", field_path(&self.info.fields()[index]));
            changes.cuts.push(Truncation::new(path, "locks", 0, Some(1)));
        }
    }

    /// Whether the values of the field at `index` are never recorded.
    fn is_redacted(&self, index: usize) -> bool {
        let field = &self.info.fields()[index];
        let is_masked = |name| self.rules.mask.matches_static(name);
        // A field that was renamed holds the same secret, so both names count.
        field.is_redacted()
            || is_masked(field.name())
            || (field.rust_name() != field.name() && is_masked(field.rust_name()))
    }

    fn push_differences(&mut self, index: usize, before: &Tree, after: &Tree) {
        if self.is_redacted(index) {
            return self.changed_redacted(index);
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

    /// `tree`, as a set if the field is declared as one.
    fn normalized(&self, index: usize, tree: Tree) -> Tree {
        if self.info.fields()[index].is_set() { tree.into_set() } else { tree }
    }

    fn json(&mut self, path: &str, tree: &Tree) -> Json {
        match &mut self.output {
            Output::Changes(changes, _) => {
                tree.to_json(self.rules, &format!("changes.{path}"), &mut changes.cuts)
            }
            Output::Values(_) => redaction_mark(),
        }
    }

    fn push(&mut self, path: Cow<'static, str>, before: Option<Json>, after: Option<Json>) {
        if let Output::Changes(changes, _) = &mut self.output {
            changes.fields.push(ChangedField { path, before, after });
        }
    }
}

/// The differences between two states of an object. If one of the states is unknown, the result is
/// marked as incomplete.
pub(crate) fn compare_values(
    info: &'static TypeInfo,
    rules: &Rules,
    before: Option<&FieldValues>,
    after: Option<&FieldValues>,
) -> ChangedFields {
    let (Some(before), Some(after)) = (before, after) else {
        let mut changes = ChangedFields::default();
        changes.mark_incomplete();
        return changes;
    };
    FieldVisitor::changes(info, rules, ChangeKind::Changed, |visitor| {
        for (index, (before, after)) in before.0.iter().zip(&after.0).enumerate() {
            match (before, after) {
                (Some(before), Some(after)) if before != after => {
                    visitor.push_differences(index, before, after);
                }
                (Some(_), Some(_)) => {}
                _ => visitor.unknown(index),
            }
        }
    })
}

/// The path of the field itself.
fn field_path(field: &FieldInfo) -> Cow<'static, str> {
    match is_plain(field.name()) {
        true => Cow::Borrowed(field.name()),
        false => Cow::Owned(first_segment(field.name())),
    }
}
