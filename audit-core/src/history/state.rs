//! [`State`]: the fields of an object at some time, found by replaying its changes.

use std::fmt;

use audit_record::private::path;
use audit_record::{ChangeKind, Error, FieldChange, Json};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::capture::{Limits, Mask, Rules};
use crate::fields::FieldInfo;
use crate::history::change::{Difference, ObjectChange};
use crate::value::{Tree, apply, diff};

/// The audited fields of an object at some time; from [`History::as_of`](crate::History::as_of).
///
/// ```
/// use audited::{Tracked, audited_fields, testing};
///
/// #[audited_fields(age, tags; key = id)]
/// struct Pilot { id: u64, age: u8, tags: Vec<&'static str> }
///
/// let records = testing::capture(|| {
///     let mut pilot = Tracked::new(Pilot { id: 340, age: 25, tags: vec!["ace"] });
///     pilot.save(|_| Ok::<(), String>(())).unwrap();
/// });
/// let state = testing::history::<Pilot>(&records, 340).as_of(chrono::Utc::now())?.unwrap();
/// assert_eq!(state.to_string(), r#"{"age":25,"tags":["ace"]}"#);
/// assert_eq!(state.get("age").unwrap().to::<u8>()?, 25);
/// # Ok::<(), audited::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    fields: Tree,
    uncertain: Vec<String>,
    /// The current fields of the type.
    infos: &'static [FieldInfo],
    /// The names of fields that are sets.
    sets: Vec<String>,
}

impl State {
    /// The fields as a JSON object.
    #[must_use]
    pub fn json(&self) -> Json {
        json(&self.fields)
    }

    /// The value of one field. `None` if the field did not exist or its value is unknown.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<Json> {
        self.fields.get(field).map(json)
    }

    /// Deserialises the fields into a value of type `T`.
    ///
    /// `T` can be the audited type itself, if its other fields have `#[serde(default)]`, or any
    /// type with some of the fields. [`onto`](State::onto) is another way to restore an object.
    ///
    /// ```
    /// # use audited::{Tracked, audited_fields, testing};
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[audited_fields(name, age; key = id)]
    /// #[derive(Serialize, Deserialize)]
    /// struct Pilot { #[serde(default)] id: u64, name: String, age: u8 }
    ///
    /// let records = testing::capture(|| {
    ///     let mut pilot = Tracked::new(Pilot { id: 340, name: "Kara".into(), age: 25 });
    ///     pilot.save(|_| Ok::<(), String>(())).unwrap();
    /// });
    /// let state = testing::history::<Pilot>(&records, 340).as_of(chrono::Utc::now())?.unwrap();
    /// let pilot: Pilot = state.to()?;
    /// assert_eq!((pilot.id, pilot.age), (0, 25));
    /// # Ok::<(), audited::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the fields do not fit the type, or if a field that the type needs is redacted. The
    /// message names the field.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let mut known = Tree::Map(Vec::new());
        for (name, value) in self.known() {
            known.insert(name, value.clone());
        }
        let hidden = self.hidden();
        json(&known.without_some_marks()).to().map_err(|error| match hidden.is_empty() {
            true => error,
            false => Error::permanent(format!(
                "{error} (the values of `{}` are redacted and not recorded: mark the field with \
                 `#[serde(default)]`, or use `State::onto`)",
                hidden.join("`, `")
            )),
        })
    }

    /// Returns a copy of `object` with the audited fields of this state.
    ///
    /// Fields that are not audited keep their values, and so do fields with
    /// [`hidden`](State::hidden) parts.
    ///
    /// ```
    /// # use audited::{Tracked, audited_fields, testing};
    /// # use serde::{Deserialize, Serialize};
    /// #[audited_fields(age, pin(redact); key = id)]
    /// #[derive(Serialize, Deserialize)]
    /// struct Pilot { id: u64, age: u8, pin: u16, seat: u8 }
    ///
    /// let records = testing::capture(|| {
    ///     let mut pilot = Tracked::new(Pilot { id: 340, age: 25, pin: 1234, seat: 1 });
    ///     pilot.save(|_| Ok::<(), String>(())).unwrap();
    /// });
    /// let state = testing::history::<Pilot>(&records, 340).as_of(chrono::Utc::now())?.unwrap();
    /// let now = Pilot { id: 340, age: 99, pin: 5678, seat: 7 };
    /// let restored = state.onto(&now)?;
    /// assert_eq!((restored.age, restored.pin, restored.seat), (25, 5678, 7));
    /// # Ok::<(), audited::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the fields do not fit the type, or if the type serialises one of them under another
    /// name. The message names the field.
    pub fn onto<T: Serialize + DeserializeOwned>(&self, object: &T) -> Result<T, Error> {
        let mut whole = Tree::of(object, &Mask::none()).without_some_marks();
        for (name, value) in self.known() {
            let value = value.clone().without_some_marks();
            let is_current = self.infos.iter().any(|info| info.rust_name() == name);
            if is_current && whole.get(name).is_none() && !matches!(value, Tree::Null) {
                return Err(Error::permanent(format!(
                    "the type does not serialise the field `{name}` under this name; if it has \
                     `#[serde(rename)]`, read its value with `State::get`"
                )));
            }
            whole.insert(name, value);
        }
        json(&whole).to()
    }

    /// The names of fields with redacted parts: their changes are recorded, but not all their
    /// values.
    #[must_use]
    pub fn hidden(&self) -> Vec<&str> {
        let hidden = self.named().filter(|(_, value)| value.hides_something());
        hidden.map(|(name, _)| name).collect()
    }

    /// The fields under their names in the program.
    fn named(&self) -> impl Iterator<Item = (&str, &Tree)> {
        let fields = match &self.fields {
            Tree::Map(fields) => &fields[..],
            _ => &[],
        };
        fields.iter().map(|(name, value)| {
            let info = self.infos.iter().find(|info| info.name() == name);
            (info.map_or(&**name, |info| info.rust_name()), value)
        })
    }

    /// The fields without redacted parts.
    fn known(&self) -> impl Iterator<Item = (&str, &Tree)> {
        self.named().filter(|(_, value)| !value.hides_something())
    }

    /// The names of fields whose value is uncertain.
    ///
    /// Either the value was cut or could not be recorded, or the recorded changes of the field do
    /// not fit together. For example, one of them is missing.
    #[must_use]
    pub fn uncertain(&self) -> &[String] {
        &self.uncertain
    }

    fn apply(&mut self, change: &FieldChange) {
        let (before, after) = (tree(&change.before), tree(&change.after));
        let applied = apply(&mut self.fields, &change.field, before.as_ref(), after.as_ref());
        let name = field_of(&change.field);
        if *change.field == path::first_segment(&name) + "[]" && !self.sets.contains(&name) {
            self.sets.push(name.clone());
        }
        if applied.is_err() || after.is_some_and(|after| after.is_cut()) {
            if !self.uncertain.contains(&name) {
                self.uncertain.push(name);
            }
        } else if *change.field == path::first_segment(&name) {
            // This change gives the whole value, so earlier doubts no longer matter.
            self.uncertain.retain(|known| *known != name);
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.json().fmt(f)
    }
}

/// The state after all of `changes` up to `time`.
pub(super) fn replay(
    changes: impl Iterator<Item = Result<ObjectChange, Error>>,
    time: DateTime<Utc>,
    infos: &'static [FieldInfo],
) -> Result<Option<State>, Error> {
    let sets = || {
        let sets = infos.iter().filter(|info| info.is_set());
        sets.map(|info| info.name().to_owned()).collect()
    };
    let empty =
        || State { fields: Tree::Map(Vec::new()), uncertain: Vec::new(), infos, sets: sets() };
    let (mut state, mut is_first) = (None, true);
    // The fields that later changes have already been used for.
    let mut checked: Vec<String> = Vec::new();
    for change in changes {
        let change = change?;
        if change.changed_at <= time {
            match change.change {
                ChangeKind::Created => state = Some(empty()),
                ChangeKind::Deleted => state = None,
                _ => {}
            }
            if change.change != ChangeKind::Deleted {
                let state = state.get_or_insert_with(empty);
                change.fields.iter().for_each(|field| state.apply(field));
            }
        } else {
            if is_first && change.change != ChangeKind::Created {
                state = Some(empty());
            }
            let (Some(state), ChangeKind::Changed | ChangeKind::Deleted) =
                (&mut state, change.change)
            else {
                break;
            };
            check_against_later(state, &change, &mut checked);
            if change.change == ChangeKind::Deleted {
                break;
            }
        }
        is_first = false;
    }
    Ok(state)
}

/// Compares `state` with the values that a later change has replaced. Fields that are missing in
/// the state are added, and fields with another value become uncertain.
fn check_against_later(state: &mut State, change: &ObjectChange, checked: &mut Vec<String>) {
    for field in &change.fields {
        let name = field_of(&field.field);
        if checked.contains(&name) {
            continue;
        }
        let is_whole = path::first_segment(&name) == *field.field;
        let is_open = state.fields.get(&name).is_none() || state.uncertain.contains(&name);
        if let (true, true, Some(before)) = (is_whole, is_open, &field.before) {
            let before = Tree::from_json(before.as_str());
            match before.is_cut() {
                true if state.uncertain.contains(&name) => {}
                true => state.uncertain.push(name.clone()),
                // The field has not changed in between.
                false => state.uncertain.retain(|known| *known != name),
            }
            state.fields.insert(&name, before);
        } else if let (true, Some(known), Some(before)) =
            (is_whole, state.fields.get(&name), &field.before)
            && !known.may_equal(&Tree::from_json(before.as_str()))
        {
            // A change in between is missing.
            state.uncertain.push(name.clone());
        }
        checked.push(name);
    }
}

/// The differences between two states.
pub(super) fn differences(from: Option<&State>, to: Option<&State>) -> Vec<Difference> {
    let none = Tree::Map(Vec::new());
    let states = [from, to];
    // A field that is missing in an existing state may have existed.
    let is_uncertain = |name: &str| {
        let mut known = states.iter().flatten();
        known.any(|s| s.uncertain.iter().any(|it| it == name) || s.fields.get(name).is_none())
    };
    let [from, to] = states.map(|state| state.map_or(&none, |s| &s.fields));
    let names = |tree: &Tree| match tree {
        Tree::Map(fields) => fields.iter().map(|(name, _)| name.to_string()).collect(),
        _ => Vec::new(),
    };
    let mut fields: Vec<String> = names(to);
    fields.extend(names(from).into_iter().filter(|name| to.get(name).is_none()));
    let mut found = Vec::new();
    for name in fields {
        let is_uncertain = is_uncertain(&name);
        let mut push = |field, before: Option<&Tree>, after: Option<&Tree>| {
            let (before, after) = (before.map(json), after.map(json));
            found.push(Difference { field, before, after, is_uncertain });
        };
        match (from.get(&name), to.get(&name)) {
            (Some(before), Some(after)) => {
                let is_set = states.iter().flatten().any(|state| state.sets.contains(&name));
                let normalized = |tree: &Tree| match is_set {
                    true => tree.clone().into_set(),
                    false => tree.clone(),
                };
                let (before, after) = (normalized(before), normalized(after));
                let steps = diff(&name, &before, &after, Limits::default().length);
                steps.into_iter().for_each(|step| push(step.path, step.before, step.after));
            }
            (before, after) => push(path::first_segment(&name), before, after),
        }
    }
    found
}

/// The name of the field that `path` starts with.
fn field_of(path: &str) -> String {
    path::split_first(path).map_or_else(|| path.to_owned(), |(name, _)| name.into_owned())
}

fn tree(json: &Option<Json>) -> Option<Tree> {
    json.as_ref().map(|json| Tree::from_json(json.as_str()))
}

/// The whole value as JSON. It was masked and limited when it was recorded.
fn json(tree: &Tree) -> Json {
    let limits =
        Limits::default().bytes(usize::MAX / 4).length(usize::MAX).depth(Limits::MAX_DEPTH);
    let rules = Rules { limits, mask: Mask::none() };
    tree.to_json(&rules, "", &mut Vec::new())
}
