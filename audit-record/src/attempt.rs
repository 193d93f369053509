//! The JSON of attempted changes: those of a failed operation or of a transaction that was rolled
//! back.

use crate::json::write::write_str;
use crate::{ChangeKind, ErrorInfo, FieldChange, Json, Note, Outcome, Record};

/// A field, its value before, and the value that it would have had.
pub type AttemptedField<'r> = (&'r str, &'r Option<Json>, &'r Option<Json>);

impl Record {
    /// Turns the record of a change into the record of an attempt, because its transaction was
    /// rolled back.
    ///
    /// The changes have not happened. They move to the input, or to a note if the record has an
    /// input. A success becomes a failure with the error `rollback`.
    ///
    /// ```
    /// use audited::{Outcome, change_of, testing};
    ///
    /// let mut records = testing::capture(|| change_of("invoice", 4711).change("total", 5, 6).record());
    /// let attempt = records.remove(0).rolled_back();
    /// assert_eq!((attempt.outcome, attempt.changes.len()), (Outcome::Failure, 0));
    /// assert_eq!(
    ///     attempt.input.unwrap().as_str(),
    ///     r#"{"attempted":"changed","changes":[{"field":"total","before":5,"after":6}]}"#,
    /// );
    /// ```
    #[must_use]
    pub fn rolled_back(mut self) -> Self {
        let changes = std::mem::take(&mut self.changes);
        if !changes.is_empty() {
            let json = attempted_objects(&changes);
            match self.input {
                None => self.input = Some(json),
                Some(_) => self.notes.push(Note::new("rolled back", json.as_str())),
            }
        }
        if self.outcome == Outcome::Success {
            self.outcome = Outcome::Failure;
            self.error = Some(ErrorInfo::new(
                "rollback",
                "the transaction was rolled back",
                Vec::new(),
                None,
            ));
        }
        self
    }
}

/// The attempted changes as JSON. Several objects become a list with the type and id of each.
fn attempted_objects(changes: &[FieldChange]) -> Json {
    let is_one = |a: &FieldChange, b: &FieldChange| {
        a.target_type == b.target_type && a.target_id == b.target_id && a.change == b.change
    };
    let fields = |changes: &[FieldChange], json: &mut String| {
        let kind = changes[0].change;
        let each = changes.iter().map(|change| (&*change.field, &change.before, &change.after));
        write_attempted(json, kind, each);
    };
    let mut json = String::from("{");
    let objects: Vec<_> = changes.chunk_by(is_one).collect();
    if let [only] = objects[..] {
        fields(only, &mut json);
    } else {
        json.push_str("\"objects\":[");
        for (n, object) in objects.into_iter().enumerate() {
            json.push_str(if n == 0 { "{\"type\":" } else { ",{\"type\":" });
            write_str(&mut json, &object[0].target_type);
            json.push_str(",\"id\":");
            write_str(&mut json, &object[0].target_id);
            json.push(',');
            fields(object, &mut json);
            json.push('}');
        }
        json.push(']');
    }
    json.push('}');
    Json::trusted(json)
}

/// Writes the members `"attempted":"changed","changes":[{"field":"age","before":25,"after":26}]`.
pub fn write_attempted<'r>(
    json: &mut String,
    kind: ChangeKind,
    fields: impl Iterator<Item = AttemptedField<'r>>,
) {
    json.push_str("\"attempted\":\"");
    json.push_str(kind.as_str());
    json.push_str("\",\"changes\":[");
    for (n, (field, before, after)) in fields.enumerate() {
        json.push_str(if n == 0 { "{\"field\":" } else { ",{\"field\":" });
        write_str(json, field);
        for (name, value) in [(",\"before\":", before), (",\"after\":", after)] {
            if let Some(value) = value {
                json.push_str(name);
                json.push_str(value.as_str());
            }
        }
        json.push('}');
    }
    json.push(']');
}
