//! [`ChangeSelection`]: which changes a history reads, and under which names it shows them.

use std::sync::{Arc, Mutex, PoisonError};

use audit_record::Error;
use audit_record::private::path;
use audit_record::store::{ChangePosition, ChangeQuery, ChangeReader, Children, StoredChange};

use crate::fields::FieldInfo;

/// The reader of a store, shared by all histories that read from it.
pub(crate) type SharedReader = Arc<Mutex<Box<dyn ChangeReader>>>;

/// The number of rows in the first query.
const FIRST_QUERY_ROWS: usize = 1_000;

/// A query to a store, and the names and filters that the store does not know.
#[derive(Clone)]
pub(super) struct ChangeSelection {
    reader: SharedReader,
    pub(super) query: ChangeQuery,
    /// The current fields of the type. Empty if the history is not that of an audited type.
    pub(super) fields: &'static [FieldInfo],
    /// The children of the selected object, or of all objects.
    pub(super) children: Children,
    /// The path inside a field, if not the whole field is selected.
    path_in_field: Option<String>,
}

impl ChangeSelection {
    pub(super) fn new(
        reader: SharedReader,
        target_types: Vec<String>,
        fields: &'static [FieldInfo],
    ) -> Self {
        let mut query = ChangeQuery::default();
        (query.limit, query.target_types) = (FIRST_QUERY_ROWS, target_types);
        Self { reader, query, fields, children: Children::OfAll, path_in_field: None }
    }

    /// Selects the changes of a field, or of the value at a path inside a field.
    pub(super) fn select_field(&mut self, path: &str) {
        self.query.fields = self.stored_paths(path);
        self.path_in_field = None;
        if let Some((name, rest)) = path::split_first(path)
            && !rest.is_empty()
        {
            let names = self.stored_paths(&name);
            self.query.fields.extend(names);
            self.path_in_field = Some(path.to_owned());
        }
    }

    /// Selects all changes of the object, and replaces any earlier selection.
    pub(super) fn select_all(&mut self) {
        let query = &mut self.query;
        (query.children, query.change, query.actor) = (None, None, None);
        (query.from, query.until, query.after) = (None, None, None);
        query.fields.clear();
        self.path_in_field = None;
    }

    /// The next rows after `after`.
    pub(super) fn read(&self, after: Option<ChangePosition>) -> Result<Vec<StoredChange>, Error> {
        let mut query = self.query.clone();
        query.after = after;
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).changes(&query)
    }

    /// Whether a change at the stored `path` is selected. The query has selected its field already.
    pub(super) fn includes(&self, path: &str) -> bool {
        let is_inside = |path: &str, outer: &str| {
            path.strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.path_in_field.as_deref().is_none_or(|selected| {
            let current = self.current_path(path);
            let path = current.as_deref().unwrap_or(path);
            is_inside(path, selected)
                || is_inside(selected, path)
                || is_inside(path, &path::first_segment(selected))
        })
    }

    /// `path` under the current name of its field, if the field was renamed.
    pub(super) fn current_path(&self, path: &str) -> Option<String> {
        let (name, rest) = path::split_first(path)?;
        let is_former_name = |field: &&FieldInfo| field.former_names().contains(&&*name);
        let field = self.fields.iter().find(is_former_name)?;
        Some(path::first_segment(field.name()) + rest)
    }

    /// The paths under which the changes of a field are stored: one for each of its names.
    fn stored_paths(&self, field: &str) -> Vec<String> {
        let mut paths = vec![path::first_segment(field)];
        if let Some(field) = self.fields.iter().find(|info| info.name() == field) {
            paths.extend(field.former_names().iter().map(|name| path::first_segment(name)));
        }
        paths
    }
}

impl std::fmt::Debug for ChangeSelection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeSelection").field("query", &self.query).finish_non_exhaustive()
    }
}
