//! Finds the locations of the changes that a query asks for, with the indexes over the targets.
//!
//! These indexes begin with the run of 8,192 records that a record is in, so each run is searched
//! by itself. One lookup takes a few microseconds, and ten million records are 1,221 runs.

use std::collections::BTreeSet;

use audit_record::ChangeKind;
use audit_record::store::{ChangeQuery, Children};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row};

use super::decode::{NameReader, clamp_micros, text};
use super::filter::Filter;
use super::location::{ChangeLocation, FirstLocations};
use crate::schema::{change_number, kind_number};

/// `seq >> RUN_BITS` is the run of a record. The indexes use the same number.
const RUN_BITS: u32 = 13;

/// How many names may have the prefix of the child types. If there are more, most of them may be
/// actors or actions, and the types that are used are listed instead.
const MAX_CHILD_TYPES: usize = 64;

/// Finds the locations of the first `query.limit` changes that match `query`, in its order.
pub(super) fn find_locations(
    transaction: &Connection,
    query: &ChangeQuery,
) -> rusqlite::Result<Vec<ChangeLocation>> {
    let actor = match &query.actor {
        None => None,
        Some(actor) => match name_id(transaction, actor)? {
            None => return Ok(Vec::new()),
            id => id,
        },
    };
    let newest: Option<i64> =
        transaction.query_row("SELECT max(seq) FROM main.audit_record", [], |row| row.get(0))?;
    let Some(newest) = newest else { return Ok(Vec::new()) };
    let runs = RunRange { last: newest >> RUN_BITS };
    let mut lookups = prepare_lookups(transaction, query, &runs, actor)?;
    let mut first = FirstLocations::new(query);
    let mut filter = Filter::new(transaction, query)?;
    let mut probe = ActorProbe::new(transaction, query, actor)?;
    for run in runs.to_search(query) {
        let actor_is_rare = probe.is_rare(run)?;
        for lookup in &mut lookups {
            lookup.search(run, actor_is_rare, &mut filter, &mut first)?;
        }
        // In the order of storing, changes of later runs come later.
        if !first.by_time && first.is_full() {
            break;
        }
    }
    Ok(first.into_locations())
}

fn name_id(transaction: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    transaction
        .prepare_cached("SELECT id FROM main.audit_name WHERE text = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// If an actor has at most this many records in a run, the lookup goes through these records
/// instead of the target type.
const RARE_ACTOR: usize = 64;

/// Counts how often the actor of the query is in a run.
struct ActorProbe<'t>(Option<CachedStatement<'t>>);

impl<'t> ActorProbe<'t> {
    fn new(
        transaction: &'t Connection,
        query: &ChangeQuery,
        actor: Option<i64>,
    ) -> rusqlite::Result<Self> {
        let Some(actor) = actor.filter(|_| may_search_by_actor(query)) else {
            return Ok(Self(None));
        };
        let mut statement = transaction.prepare_cached(RECORDS_OF_ACTOR)?;
        statement.raw_bind_parameter(2, actor)?;
        statement.raw_bind_parameter(3, RARE_ACTOR as i64 + 1)?;
        Ok(Self(Some(statement)))
    }

    fn is_rare(&mut self, run: i64) -> rusqlite::Result<bool> {
        let Some(statement) = &mut self.0 else { return Ok(false) };
        statement.raw_bind_parameter(1, run)?;
        let mut rows = statement.raw_query();
        let mut records = 0;
        while rows.next()?.is_some() {
            records += 1;
        }
        Ok(records <= RARE_ACTOR)
    }
}

/// Whether searching the records of an actor may be faster than searching the changes of a type. An
/// object has few changes, and few objects are deleted.
fn may_search_by_actor(query: &ChangeQuery) -> bool {
    query.target_id.is_none() && query.change != Some(ChangeKind::Deleted)
}

/// The runs of the trail, from 0 to `last`.
struct RunRange {
    last: i64,
}

impl RunRange {
    /// The runs that may contain changes of the page, in the order of `query`.
    fn to_search(&self, query: &ChangeQuery) -> Box<dyn Iterator<Item = i64>> {
        let after = query.after.filter(|_| query.target_id.is_none());
        let after = after.map(|after| i64::try_from(after.seq).unwrap_or(i64::MAX) >> RUN_BITS);
        if query.newest_first {
            Box::new((0..=after.unwrap_or(self.last).min(self.last)).rev())
        } else {
            Box::new(after.unwrap_or(0)..=self.last)
        }
    }
}

/// A prepared lookup of the changes of several types in one run.
struct Lookup<'t> {
    statement: CachedStatement<'t>,
    /// The same, for a run in which the actor is rare.
    by_actor: Option<CachedStatement<'t>>,
    types: Vec<i64>,
    /// The prefix of the ids.
    prefix: Option<String>,
}

impl Lookup<'_> {
    fn search(
        &mut self,
        run: i64,
        actor_is_rare: bool,
        filter: &mut Filter<'_, '_>,
        first: &mut FirstLocations,
    ) -> rusqlite::Result<()> {
        let statement = match &mut self.by_actor {
            Some(by_actor) if actor_is_rare => by_actor,
            _ => &mut self.statement,
        };
        for &target_type in &self.types {
            statement.raw_bind_parameter(1, run)?;
            statement.raw_bind_parameter(2, target_type)?;
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                // The index compares bytes, which differs a little in a UTF-16 database.
                if let Some(prefix) = &self.prefix
                    && !text(row.get_ref(4)?).is_some_and(|id| id.starts_with(prefix))
                {
                    continue;
                }
                let location = location_of(row)?;
                if filter.admits(location.time, row.get(3)?)? {
                    first.add(location);
                }
            }
        }
        Ok(())
    }
}

fn location_of(row: &Row<'_>) -> rusqlite::Result<ChangeLocation> {
    let time = row.get::<_, Option<i64>>(2)?.unwrap_or_default();
    Ok(ChangeLocation { time: clamp_micros(time), seq: row.get(0)?, position: row.get(1)? })
}

/// Which ids a lookup searches.
#[derive(Clone, Copy)]
enum Ids<'q> {
    Any,
    Is(&'q str),
    /// Those that begin with this id and `/`.
    ChildrenOf(&'q str),
}

/// The lookups that `query` needs in each run.
fn prepare_lookups<'t>(
    transaction: &'t Connection,
    query: &ChangeQuery,
    runs: &RunRange,
    actor: Option<i64>,
) -> rusqlite::Result<Vec<Lookup<'t>>> {
    let mut types = BTreeSet::new();
    for name in &query.target_types {
        types.extend(name_id(transaction, name)?);
    }
    let mut child_types = BTreeSet::new();
    if query.children.is_some() {
        for name in &query.target_types {
            child_types.extend(find_child_types(transaction, name, runs)?);
        }
    }
    let own = query.target_id.as_deref().map_or(Ids::Any, Ids::Is);
    let children = match &query.children {
        Some(Children::Of(id)) => Ids::ChildrenOf(id),
        _ => Ids::Any,
    };
    let groups = match (own, children) {
        (Ids::Any, Ids::Any) => {
            types.append(&mut child_types);
            vec![(Ids::Any, types)]
        }
        (own, children) => vec![(own, types), (children, child_types)],
    };
    let groups = groups.into_iter().filter(|(_, types)| !types.is_empty());
    groups.map(|(ids, types)| prepare_lookup(transaction, query, ids, types, actor)).collect()
}

fn prepare_lookup<'t>(
    transaction: &'t Connection,
    query: &ChangeQuery,
    ids: Ids<'_>,
    types: BTreeSet<i64>,
    actor: Option<i64>,
) -> rusqlite::Result<Lookup<'t>> {
    let mut statement = transaction.prepare_cached(&sql(query, ids))?;
    let prefix = match ids {
        Ids::Any => None,
        Ids::Is(id) => {
            statement.raw_bind_parameter(3, id)?;
            None
        }
        Ids::ChildrenOf(id) => {
            // `0` is the character after `/`.
            statement.raw_bind_parameter(3, format!("{id}/"))?;
            statement.raw_bind_parameter(4, format!("{id}0"))?;
            Some(format!("{id}/"))
        }
    };
    bind(&mut statement, query, actor)?;
    let by_actor = match query.actor.as_ref().filter(|_| may_search_by_actor(query)) {
        None => None,
        Some(_) => {
            let mut statement = transaction.prepare_cached(&sql_by_actor(query))?;
            bind(&mut statement, query, actor)?;
            Some(statement)
        }
    };
    Ok(Lookup { statement, by_actor, types: types.into_iter().collect(), prefix })
}

fn bind(
    statement: &mut CachedStatement<'_>,
    query: &ChangeQuery,
    actor: Option<i64>,
) -> rusqlite::Result<()> {
    if let Some(parameter) = statement.parameter_index("?5")? {
        statement.raw_bind_parameter(parameter, query.change.and_then(change_number))?;
    }
    if let Some(parameter) = statement.parameter_index("?6")? {
        statement.raw_bind_parameter(parameter, actor)?;
    }
    Ok(())
}

/// The SQL of a lookup of one type in one run. Columns that are not needed are left out, so that
/// most lookups read the index only.
fn sql(query: &ChangeQuery, ids: Ids<'_>) -> String {
    let deleted = query.change == Some(ChangeKind::Deleted);
    let index = if deleted { "audit_field_change_deleted" } else { "audit_field_change_by_target" };
    let columns = lookup_columns(query);
    let ids = match ids {
        Ids::Any => "",
        Ids::Is(_) => " AND c.target_id = ?3",
        Ids::ChildrenOf(_) => " AND c.target_id >= ?3 AND c.target_id < ?4",
    };
    let change = match query.change {
        None => "",
        // A number instead of a parameter, so that SQLite can use the partial index.
        Some(ChangeKind::Deleted) => " AND c.change = 2",
        Some(_) => " AND c.change = ?5",
    };
    let actor = match query.actor {
        None => "",
        Some(_) => {
            " AND (SELECT r.actor FROM main.audit_record AS r WHERE r.seq = c.record_seq) = ?6"
        }
    };
    let kind = kind_condition(query);
    format!(
        "SELECT {columns} FROM main.audit_field_change AS c INDEXED BY {index} \
         WHERE c.record_seq >> {RUN_BITS} = ?1 AND c.target_type = ?2{ids}{change}{actor}{kind}"
    )
}

/// Like [`sql`], for any id, but through the records of the actor.
fn sql_by_actor(query: &ChangeQuery) -> String {
    let columns = lookup_columns(query);
    let change = if query.change.is_some() { " AND c.change = ?5" } else { "" };
    let kind = kind_condition(query);
    format!(
        "SELECT {columns} FROM main.audit_record AS r INDEXED BY audit_record_by_actor \
         CROSS JOIN main.audit_field_change AS c ON c.record_seq = r.seq \
         WHERE r.seq >> {RUN_BITS} = ?1 AND r.actor = ?6 AND c.target_type = ?2{change}{kind}"
    )
}

/// A condition on the kind of the record. No record has a kind that this schema has no number for.
fn kind_condition(query: &ChangeQuery) -> String {
    query.kind.map_or_else(String::new, |kind| {
        let number = kind_number(kind).unwrap_or(-1);
        format!(
            " AND (SELECT r.kind FROM main.audit_record AS r WHERE r.seq = c.record_seq) = {number}"
        )
    })
}

fn lookup_columns(query: &ChangeQuery) -> String {
    let time = if query.target_id.is_some() || query.from.is_some() || query.until.is_some() {
        "ifnull(c.changed_at, (SELECT r.started_at FROM main.audit_record AS r \
             WHERE r.seq = c.record_seq))"
    } else {
        "NULL"
    };
    let field = if query.fields.is_empty() { "NULL" } else { "c.field" };
    format!("c.record_seq, c.position, {time}, {field}, c.target_id")
}

/// The records of an actor in a run.
const RECORDS_OF_ACTOR: &str = "SELECT 1 FROM main.audit_record AS r INDEXED BY \
    audit_record_by_actor WHERE r.seq >> 13 = ?1 AND r.actor = ?2 LIMIT ?3";

/// Names that may be child types.
const NAMES_IN_RANGE: &str =
    "SELECT id, text FROM main.audit_name WHERE text >= ?1 AND text < ?2 LIMIT ?3";

/// The next type in a run.
const NEXT_TYPE: &str = "SELECT c.target_type FROM main.audit_field_change AS c \
    INDEXED BY audit_field_change_by_target \
    WHERE c.record_seq >> 13 = ?1 AND c.target_type > ?2 ORDER BY c.target_type LIMIT 1";

/// Finds the types whose names begin with `name` and `/`.
fn find_child_types(
    transaction: &Connection,
    name: &str,
    runs: &RunRange,
) -> rusqlite::Result<Vec<i64>> {
    let prefix = format!("{name}/");
    let mut types = Vec::new();
    let mut statement = transaction.prepare_cached(NAMES_IN_RANGE)?;
    let limit = MAX_CHILD_TYPES as i64 + 1;
    let mut rows = statement.query((&prefix, format!("{name}0"), limit))?;
    let mut candidates = 0;
    while let Some(row) = rows.next()? {
        candidates += 1;
        if text(row.get_ref(1)?).is_some_and(|text| text.starts_with(&prefix)) {
            types.push(row.get(0)?);
        }
    }
    if candidates <= MAX_CHILD_TYPES {
        return Ok(types);
    }
    types.clear();
    let mut names = NameReader::new(transaction)?;
    for id in find_used_types(transaction, runs)? {
        if names.text(id)?.starts_with(&prefix) {
            types.push(id);
        }
    }
    Ok(types)
}

/// Finds all types that have changes, by skipping through the index.
fn find_used_types(transaction: &Connection, runs: &RunRange) -> rusqlite::Result<BTreeSet<i64>> {
    let mut statement = transaction.prepare_cached(NEXT_TYPE)?;
    let mut types = BTreeSet::new();
    for run in 0..=runs.last {
        let mut last = i64::MIN;
        while let Some(next) = statement.query_row([run, last], |row| row.get(0)).optional()? {
            types.insert(next);
            last = next;
        }
    }
    Ok(types)
}

#[cfg(test)]
mod tests;
