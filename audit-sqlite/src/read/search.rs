//! Finds where the changes are that a query asks for, by the indexes over the targets.
//!
//! Those indexes begin with the run that a record is in, so each run is asked by itself: a lookup takes a
//! few microseconds, and ten million records are 1,221 runs.

use std::collections::BTreeSet;

use audit_record::ChangeKind;
use audit_record::store::ChangeQuery;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row};

use super::filter::Filter;
use super::found::Found;
use super::names::{Names, text};
use super::{Place, in_range};
use crate::schema::{change_number, kind_number};

/// How many bits of a `seq` tell its place in a run; the indexes say the same.
const RUN: u32 = 13;

/// How many names may begin like the children's types before it is asked which of them are types at all.
/// Actors or actions may begin so as well, in any number.
const CANDIDATES: usize = 64;

/// The places of the first `query.limit` changes that meet `query`, in its order.
pub(super) fn places(
    transaction: &Connection,
    query: &ChangeQuery,
) -> rusqlite::Result<Vec<Place>> {
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
    let runs = Runs { last: newest >> RUN };
    let mut seeks = seeks(transaction, query, &runs, actor)?;
    let mut found = Found::new(query);
    let mut filter = Filter::new(transaction, query)?;
    let mut probe = Probe::new(transaction, query, actor)?;
    for run in runs.from(query) {
        let seldom = probe.is_seldom(run)?;
        for seek in &mut seeks {
            seek.run(run, seldom, &mut filter, &mut found)?;
        }
        // What later runs hold comes later, if the order is that of storing.
        if !found.by_time && found.is_full() {
            break;
        }
    }
    Ok(found.into_places())
}

fn name_id(transaction: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    transaction
        .prepare_cached("SELECT id FROM main.audit_name WHERE text = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// Up to how many records of a run an actor is asked for by them, not by the type.
const SELDOM: usize = 64;

/// Asks of a run how often it holds the actor.
struct Probe<'t>(Option<CachedStatement<'t>>);

impl<'t> Probe<'t> {
    fn new(
        transaction: &'t Connection,
        query: &ChangeQuery,
        actor: Option<i64>,
    ) -> rusqlite::Result<Self> {
        let Some(actor) = actor.filter(|_| may_go_by_actor(query)) else { return Ok(Self(None)) };
        let mut statement = transaction.prepare_cached(PROBE)?;
        statement.raw_bind_parameter(2, actor)?;
        statement.raw_bind_parameter(3, SELDOM as i64 + 1)?;
        Ok(Self(Some(statement)))
    }

    fn is_seldom(&mut self, run: i64) -> rusqlite::Result<bool> {
        let Some(statement) = &mut self.0 else { return Ok(false) };
        statement.raw_bind_parameter(1, run)?;
        let mut rows = statement.raw_query();
        let mut records = 0;
        while rows.next()?.is_some() {
            records += 1;
        }
        Ok(records <= SELDOM)
    }
}

/// Whether it may be better to look at all that an actor did than at all that was done to a type. An object
/// has few changes, and so has what was deleted.
fn may_go_by_actor(query: &ChangeQuery) -> bool {
    query.target_id.is_none() && query.change != Some(ChangeKind::Deleted)
}

/// The runs of records, from 0.
struct Runs {
    last: i64,
}

impl Runs {
    /// Those that may hold changes of the page, in the order of `query`.
    fn from(&self, query: &ChangeQuery) -> Box<dyn Iterator<Item = i64>> {
        let after = query.after.filter(|_| query.target_id.is_none());
        let after = after.map(|place| i64::try_from(place.seq).unwrap_or(i64::MAX) >> RUN);
        if query.newest_first {
            Box::new((0..=after.unwrap_or(self.last).min(self.last)).rev())
        } else {
            Box::new(after.unwrap_or(0)..=self.last)
        }
    }
}

/// One form of lookup, for several types.
struct Seek<'t> {
    statement: CachedStatement<'t>,
    /// The same, for a run that holds the actor seldom.
    by_actor: Option<CachedStatement<'t>>,
    types: Vec<i64>,
    /// What the ids begin with.
    prefix: Option<String>,
}

impl Seek<'_> {
    fn run(
        &mut self,
        run: i64,
        seldom: bool,
        filter: &mut Filter<'_, '_>,
        found: &mut Found,
    ) -> rusqlite::Result<()> {
        let statement = match &mut self.by_actor {
            Some(by_actor) if seldom => by_actor,
            _ => &mut self.statement,
        };
        for &target_type in &self.types {
            statement.raw_bind_parameter(1, run)?;
            statement.raw_bind_parameter(2, target_type)?;
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                // The index compares bytes, which in a database of UTF-16 is not quite the same.
                if let Some(prefix) = &self.prefix
                    && !text(row.get_ref(4)?).is_some_and(|id| id.starts_with(prefix))
                {
                    continue;
                }
                let place = place_of(row)?;
                if filter.admits(place.time, row.get(3)?)? {
                    found.add(place);
                }
            }
        }
        Ok(())
    }
}

fn place_of(row: &Row<'_>) -> rusqlite::Result<Place> {
    let time = row.get::<_, Option<i64>>(2)?.unwrap_or_default();
    Ok(Place { time: in_range(time), seq: row.get(0)?, position: row.get(1)? })
}

/// Which ids a lookup is for.
#[derive(Clone, Copy)]
enum Ids<'q> {
    Any,
    Is(&'q str),
    Below(&'q str),
}

/// The lookups that `query` takes in each run.
fn seeks<'t>(
    transaction: &'t Connection,
    query: &ChangeQuery,
    runs: &Runs,
    actor: Option<i64>,
) -> rusqlite::Result<Vec<Seek<'t>>> {
    let mut types = BTreeSet::new();
    for name in &query.target_types {
        types.extend(name_id(transaction, name)?);
    }
    let mut below = BTreeSet::new();
    if query.children.is_some() {
        for name in &query.target_types {
            below.extend(types_below(transaction, name, runs)?);
        }
    }
    let own = query.target_id.as_deref().map_or(Ids::Any, Ids::Is);
    let children = query.children.as_deref().filter(|id| !id.is_empty());
    let groups = match (own, children.map_or(Ids::Any, Ids::Below)) {
        (Ids::Any, Ids::Any) => {
            types.append(&mut below);
            vec![(Ids::Any, types)]
        }
        (own, children) => vec![(own, types), (children, below)],
    };
    let groups = groups.into_iter().filter(|(_, types)| !types.is_empty());
    groups.map(|(ids, types)| seek(transaction, query, ids, types, actor)).collect()
}

fn seek<'t>(
    transaction: &'t Connection,
    query: &ChangeQuery,
    ids: Ids<'_>,
    types: BTreeSet<i64>,
    actor: Option<i64>,
) -> rusqlite::Result<Seek<'t>> {
    let mut statement = transaction.prepare_cached(&sql(query, ids))?;
    let prefix = match ids {
        Ids::Any => None,
        Ids::Is(id) => {
            statement.raw_bind_parameter(3, id)?;
            None
        }
        Ids::Below(id) => {
            // `0` is what comes after `/`.
            statement.raw_bind_parameter(3, format!("{id}/"))?;
            statement.raw_bind_parameter(4, format!("{id}0"))?;
            Some(format!("{id}/"))
        }
    };
    bind(&mut statement, query, actor)?;
    let by_actor = match query.actor.as_ref().filter(|_| may_go_by_actor(query)) {
        None => None,
        Some(_) => {
            let mut statement = transaction.prepare_cached(&sql_by_actor(query))?;
            bind(&mut statement, query, actor)?;
            Some(statement)
        }
    };
    Ok(Seek { statement, by_actor, types: types.into_iter().collect(), prefix })
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

/// A lookup in one run, of one type. Columns that are not needed are left out, because most forms then find
/// all they need in the index.
fn sql(query: &ChangeQuery, ids: Ids<'_>) -> String {
    let deleted = query.change == Some(ChangeKind::Deleted);
    let index = if deleted { "audit_field_change_deleted" } else { "audit_field_change_by_target" };
    let columns = columns(query);
    let ids = match ids {
        Ids::Any => "",
        Ids::Is(_) => " AND c.target_id = ?3",
        Ids::Below(_) => " AND c.target_id >= ?3 AND c.target_id < ?4",
    };
    let change = match query.change {
        None => "",
        // As a number, not a parameter: so the index is known to hold all of them.
        Some(ChangeKind::Deleted) => " AND c.change = 2",
        Some(_) => " AND c.change = ?5",
    };
    let actor = match query.actor {
        None => "",
        Some(_) => {
            " AND (SELECT r.actor FROM main.audit_record AS r WHERE r.seq = c.record_seq) = ?6"
        }
    };
    let kind = of_kind(query);
    format!(
        "SELECT {columns} FROM main.audit_field_change AS c INDEXED BY {index} \
         WHERE c.record_seq >> {RUN} = ?1 AND c.target_type = ?2{ids}{change}{actor}{kind}"
    )
}

/// A lookup as by [`sql`], of any id, by way of the actor's records.
fn sql_by_actor(query: &ChangeQuery) -> String {
    let columns = columns(query);
    let change = if query.change.is_some() { " AND c.change = ?5" } else { "" };
    let kind = of_kind(query);
    format!(
        "SELECT {columns} FROM main.audit_record AS r INDEXED BY audit_record_by_actor \
         CROSS JOIN main.audit_field_change AS c ON c.record_seq = r.seq \
         WHERE r.seq >> {RUN} = ?1 AND r.actor = ?6 AND c.target_type = ?2{change}{kind}"
    )
}

/// Asks for the kind of the record. A kind that this schema has no number for is that of none.
fn of_kind(query: &ChangeQuery) -> String {
    query.kind.map_or_else(String::new, |kind| {
        let number = kind_number(kind).unwrap_or(-1);
        format!(
            " AND (SELECT r.kind FROM main.audit_record AS r WHERE r.seq = c.record_seq) = {number}"
        )
    })
}

fn columns(query: &ChangeQuery) -> String {
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
const PROBE: &str = "SELECT 1 FROM main.audit_record AS r INDEXED BY audit_record_by_actor \
    WHERE r.seq >> 13 = ?1 AND r.actor = ?2 LIMIT ?3";

/// Names that may be those of types below another one.
const NAMES_BELOW: &str =
    "SELECT id, text FROM main.audit_name WHERE text >= ?1 AND text < ?2 LIMIT ?3";

/// The next type of a run.
const NEXT_TYPE: &str = "SELECT c.target_type FROM main.audit_field_change AS c \
    INDEXED BY audit_field_change_by_target \
    WHERE c.record_seq >> 13 = ?1 AND c.target_type > ?2 ORDER BY c.target_type LIMIT 1";

/// The types whose names begin with `name` and `/`.
fn types_below(transaction: &Connection, name: &str, runs: &Runs) -> rusqlite::Result<Vec<i64>> {
    let prefix = format!("{name}/");
    let mut types = Vec::new();
    let mut statement = transaction.prepare_cached(NAMES_BELOW)?;
    let limit = CANDIDATES as i64 + 1;
    let mut rows = statement.query((&prefix, format!("{name}0"), limit))?;
    let mut candidates = 0;
    while let Some(row) = rows.next()? {
        candidates += 1;
        if text(row.get_ref(1)?).is_some_and(|text| text.starts_with(&prefix)) {
            types.push(row.get(0)?);
        }
    }
    if candidates <= CANDIDATES {
        return Ok(types);
    }
    types.clear();
    let mut names = Names::new(transaction)?;
    for id in types_used(transaction, runs)? {
        if names.text(id)?.starts_with(&prefix) {
            types.push(id);
        }
    }
    Ok(types)
}

/// All types that any change has, by skipping through the index.
fn types_used(transaction: &Connection, runs: &Runs) -> rusqlite::Result<BTreeSet<i64>> {
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
