//! [`Names`]: which number stands for which repeated string.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _};

/// How many strings each of the two generations holds.
const GENERATION: usize = 8_192;

/// Longer strings are looked up each time: they seldom repeat, and would make the cache large.
const LONGEST: usize = 256;

/// How many of the strings asked for last are found without the tables of the generations.
const LATEST: usize = 1_024;

/// What the table `audit_name` is known to hold.
///
/// Rows of that table never change, so what was read or written by a transaction that has been
/// committed stays right, whichever process adds rows meanwhile. After a transaction that was
/// not committed, [`forget`](Names::forget) must be called: it may have handed out new numbers.
///
/// Memory is bounded by two generations. A string in use moves from the older to the newer; when
/// the newer is full, it becomes the older, and what nobody asked for is dropped.
#[derive(Default)]
pub(crate) struct Names {
    /// Each string has one place here, which it may have to leave for another. Most records repeat most of what the
    /// records before them said; a hash that nobody can foresee, which the generations need, would cost
    /// more than all else that is done about names.
    latest: Vec<Option<(Box<str>, i64)>>,
    newer: HashMap<Box<str>, i64>,
    older: HashMap<Box<str>, i64>,
}

impl Names {
    pub(crate) fn forget(&mut self) {
        self.latest.clear();
        self.newer.clear();
        self.older.clear();
    }

    fn cached(&mut self, text: &str) -> Option<i64> {
        self.latest.resize(LATEST, None);
        let place = place(text);
        if let Some((latest, id)) = &self.latest[place]
            && **latest == *text
        {
            return Some(*id);
        }
        let id = self.of_generations(text)?;
        self.latest[place] = Some((text.into(), id));
        Some(id)
    }

    fn of_generations(&mut self, text: &str) -> Option<i64> {
        if let Some(&id) = self.newer.get(text) {
            return Some(id);
        }
        let (text, id) = self.older.remove_entry(text)?;
        self.keep(text, id);
        Some(id)
    }

    fn keep(&mut self, text: Box<str>, id: i64) {
        if self.newer.len() >= GENERATION {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(text, id);
    }
}

/// The place of `text` in [`Names::latest`]. Who foresees it gains nothing: a string that is not found there is
/// looked for in the generations.
fn place(text: &str) -> usize {
    let step =
        |hash: u64, part: u64| (hash ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    let (parts, rest) = text.as_bytes().as_chunks::<8>();
    let hash =
        parts.iter().fold(text.len() as u64, |hash, part| step(hash, u64::from_le_bytes(*part)));
    let hash = rest.iter().fold(hash, |hash, &byte| step(hash, byte.into()));
    hash as usize % LATEST
}

/// [`Names`] within a transaction.
pub(crate) struct Dictionary<'t> {
    names: &'t mut Names,
    find: CachedStatement<'t>,
    add: CachedStatement<'t>,
}

impl<'t> Dictionary<'t> {
    pub(crate) fn new(transaction: &'t Connection, names: &'t mut Names) -> rusqlite::Result<Self> {
        Ok(Self {
            names,
            find: transaction.prepare_cached("SELECT id FROM main.audit_name WHERE text = ?1")?,
            add: transaction.prepare_cached("INSERT INTO main.audit_name (text) VALUES (?1)")?,
        })
    }

    /// The number of `text`, which gets one now if it has none.
    pub(crate) fn id(&mut self, text: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.names.cached(text) {
            return Ok(id);
        }
        let found = self.find.query_row([text], |row| row.get(0)).optional()?;
        let id = match found {
            Some(id) => id,
            None => self.add.insert([text])?,
        };
        if text.len() <= LONGEST {
            self.names.keep(text.into(), id);
        }
        Ok(id)
    }

    /// Keeps its statements out of the connection's cache.
    pub(crate) fn discard(self) {
        self.find.discard();
        self.add.discard();
    }

    pub(crate) fn id_if(&mut self, text: Option<&str>) -> rusqlite::Result<Option<i64>> {
        text.map(|text| self.id(text)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        crate::schema::NEW.iter().for_each(|step| connection.execute_batch(step).unwrap());
        connection
    }

    #[test]
    fn a_string_keeps_its_number_however_many_come_between() {
        let (connection, mut names) = (table(), Names::default());
        let mut dictionary = Dictionary::new(&connection, &mut names).unwrap();
        let first = dictionary.id("transfer funds").unwrap();
        for n in 0..3 * GENERATION {
            dictionary.id(&format!("actor {n}")).unwrap();
        }
        assert_eq!(dictionary.id("transfer funds").unwrap(), first);
        let Dictionary { names, .. } = &dictionary;
        assert!(names.newer.len() + names.older.len() <= 2 * GENERATION);
    }

    #[test]
    fn a_string_in_use_is_not_dropped() {
        let (connection, mut names) = (table(), Names::default());
        let mut dictionary = Dictionary::new(&connection, &mut names).unwrap();
        for n in 0..3 * GENERATION {
            dictionary.id("transfer funds").unwrap();
            dictionary.id(&format!("actor {n}")).unwrap();
        }
        assert!(dictionary.names.cached("transfer funds").is_some());
        assert!(dictionary.names.cached("actor 0").is_none());
    }

    #[test]
    fn long_strings_are_not_kept_in_memory() {
        let (connection, mut names) = (table(), Names::default());
        let long = "x".repeat(LONGEST + 1);
        let mut dictionary = Dictionary::new(&connection, &mut names).unwrap();
        let id = dictionary.id(&long).unwrap();
        assert_eq!(dictionary.id(&long).unwrap(), id);
        assert!(dictionary.names.newer.is_empty());
    }
}
