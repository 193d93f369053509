//! [`State`]: an object as it was at some time, by a replay of its changes.

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

/// The audited fields of an object as they were at some time; from [`History::as_of`](crate::History::as_of).
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    fields: Tree,
    uncertain: Vec<String>,
    /// What is known of the fields today.
    infos: &'static [FieldInfo],
    /// Fields whose elements have no order.
    sets: Vec<String>,
}

impl State {
    /// The fields as a JSON object.
    #[must_use]
    pub fn json(&self) -> Json {
        json(&self.fields)
    }

    /// The value of one field.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<Json> {
        self.fields.get(field).map(json)
    }

    /// The fields as a value of type `T`: of the audited type itself, if serde can fill in the others
    /// (`#[serde(default)]`), or of any type with some of the fields.
    ///
    /// # Errors
    ///
    /// When the fields do not fit the type; the message names the field.
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
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let mut known = Tree::Map(Vec::new());
        for (name, value) in self.known() {
            known.insert(name, value.clone());
        }
        let hidden = self.hidden();
        json(&known).to().map_err(|error| match hidden.is_empty() {
            true => error,
            false => Error::permanent(format!(
                "{error} (the record does not know `{}`, which is redacted: mark it \
                 `#[serde(default)]`, or use `State::onto`)",
                hidden.join("`, `")
            )),
        })
    }

    /// `object` with its audited fields as they were then. Fields that are not audited, and those of which
    /// something is [`hidden`](State::hidden), stay as they are.
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
    /// When the fields do not fit the type, or the type serialises one of them under another name; the message names
    /// the field.
    pub fn onto<T: Serialize + DeserializeOwned>(&self, object: &T) -> Result<T, Error> {
        let mut whole = Tree::of(object, &Mask::none());
        for (name, value) in self.known() {
            let is_todays = self.infos.iter().any(|info| info.rust_name() == name);
            if is_todays && whole.get(name).is_none() && !matches!(value, Tree::Null) {
                return Err(Error::permanent(format!(
                    "the type does not serialise the field `{name}` under this name; is it renamed for serde? \
                     take the value by `State::get`"
                )));
            }
            whole.insert(name, value.clone());
        }
        json(&whole).to()
    }

    /// Fields of which the record hides something: that they changed is known, what they were is not.
    #[must_use]
    pub fn hidden(&self) -> Vec<&str> {
        let hides = |(name, value): &'_ (_, &Tree)| value.hides_something().then_some(*name);
        self.named().filter_map(|field| hides(&field)).collect()
    }

    /// The fields, under their names in the program.
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

    fn known(&self) -> impl Iterator<Item = (&str, &Tree)> {
        self.named().filter(|(_, value)| !value.hides_something())
    }

    /// Fields of which the record does not say for certain what they were: their value was cut to the limits or
    /// could not be recorded, or their changes do not fit together, as where one of them is not on record.
    #[must_use]
    pub fn uncertain(&self) -> &[String] {
        &self.uncertain
    }

    fn apply(&mut self, change: &FieldChange) {
        let (before, after) = (tree(&change.before), tree(&change.after));
        let done = apply(&mut self.fields, &change.field, before.as_ref(), after.as_ref());
        let name = field_of(&change.field);
        if *change.field == path::first_segment(&name) + "[]" && !self.sets.contains(&name) {
            self.sets.push(name.clone());
        }
        if done.is_err() || after.is_some_and(|after| after.is_cut()) {
            if !self.uncertain.contains(&name) {
                self.uncertain.push(name);
            }
        } else if *change.field == path::first_segment(&name) {
            // Whatever it was before, now it is told as a whole.
            self.uncertain.retain(|known| *known != name);
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.json().fmt(f)
    }
}

/// The object after all of `changes` up to `time`.
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
    // Fields of which only a later change tells what they were.
    let mut later: Option<Vec<String>> = None;
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
            let seen = later.get_or_insert_default();
            fill_in(state, &change, seen);
            if change.change == ChangeKind::Deleted {
                break;
            }
        }
        is_first = false;
    }
    Ok(state)
}

/// Adds to `state` the fields that are known only because `change` says what they were before, and doubts those of
/// which it says something else.
fn fill_in(state: &mut State, change: &ObjectChange, seen: &mut Vec<String>) {
    for field in &change.fields {
        let name = field_of(&field.field);
        if seen.contains(&name) {
            continue;
        }
        let is_whole = path::first_segment(&name) == *field.field;
        let is_open = state.fields.get(&name).is_none() || state.uncertain.contains(&name);
        if let (true, true, Some(before)) = (is_whole, is_open, &field.before) {
            let before = Tree::from_json(before.as_str());
            match before.is_cut() {
                true if state.uncertain.contains(&name) => {}
                true => state.uncertain.push(name.clone()),
                // It has not changed in between.
                false => state.uncertain.retain(|known| *known != name),
            }
            state.fields.insert(&name, before);
        } else if let (true, Some(known), Some(before)) =
            (is_whole, state.fields.get(&name), &field.before)
            && !known.may_equal(&Tree::from_json(before.as_str()))
        {
            // Something in between is not on record.
            state.uncertain.push(name.clone());
        }
        seen.push(name);
    }
}

/// What differs between two states.
pub(super) fn difference(from: Option<&State>, to: Option<&State>) -> Vec<Difference> {
    let none = Tree::Map(Vec::new());
    let states = [from, to];
    // What is missing in a state that is known at all may have been there.
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
    let mut differences = Vec::new();
    for name in fields {
        let is_uncertain = is_uncertain(&name);
        let mut tell = |field, before: Option<&Tree>, after: Option<&Tree>| {
            let (before, after) = (before.map(json), after.map(json));
            differences.push(Difference { field, before, after, is_uncertain });
        };
        match (from.get(&name), to.get(&name)) {
            (Some(before), Some(after)) => {
                let is_set = states.iter().flatten().any(|state| state.sets.contains(&name));
                let shaped = |tree: &Tree| match is_set {
                    true => tree.clone().into_set(),
                    false => tree.clone(),
                };
                let (before, after) = (shaped(before), shaped(after));
                let steps = diff(&name, &before, &after, Limits::default().length);
                steps.into_iter().for_each(|step| tell(step.path, step.before, step.after));
            }
            (before, after) => tell(path::first_segment(&name), before, after),
        }
    }
    differences
}

/// The name of the field in which the path lies.
fn field_of(path: &str) -> String {
    path::split_first(path).map_or_else(|| path.to_owned(), |(name, _)| name.into_owned())
}

fn tree(json: &Option<Json>) -> Option<Tree> {
    json.as_ref().map(|json| Tree::from_json(json.as_str()))
}

/// All of it: it was masked and limited when it was recorded.
fn json(tree: &Tree) -> Json {
    let limits =
        Limits::default().bytes(usize::MAX / 4).length(usize::MAX).depth(Limits::MAX_DEPTH);
    let rules = Rules { limits, mask: Mask::none() };
    tree.to_json(&rules, "", &mut Vec::new())
}
