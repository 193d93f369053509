//! [`Dictionary`] and [`NameCache`]: repeated strings are stored once, in the table `audit_name`,
//! and other tables hold their numbers.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _};

/// The number of strings in each of the two generations.
const GENERATION_SIZE: usize = 8_192;

/// Longer strings, in bytes, are looked up each time: they rarely repeat, and would make the cache
/// large.
const MAX_CACHED_BYTES: usize = 256;

/// The number of slots for recently used strings.
const RECENT_SLOTS: usize = 1_024;

/// A cache of the table `audit_name`.
///
/// Rows of that table never change. So what a committed transaction has read or written stays
/// correct, even if other processes add rows. After a transaction that was not committed,
/// [`clear`](NameCache::clear) must be called, because it may have assigned new numbers.
///
/// Two generations bound the memory. A string that is used moves from the older to the newer. When
/// the newer is full, it becomes the older, and strings that were not used are dropped.
#[derive(Default)]
pub(crate) struct NameCache {
    /// Each string has one slot, which another string may take over. Most records repeat most
    /// strings of the records before. The hash of the generations, which withstands collision
    /// attacks, would cost more than everything else that is done for names.
    recent: Vec<Option<(Box<str>, i64)>>,
    newer: HashMap<Box<str>, i64>,
    older: HashMap<Box<str>, i64>,
}

impl NameCache {
    pub(crate) fn clear(&mut self) {
        self.recent.clear();
        self.newer.clear();
        self.older.clear();
    }

    fn cached(&mut self, text: &str) -> Option<i64> {
        self.recent.resize(RECENT_SLOTS, None);
        let slot = recent_slot(text);
        if let Some((recent, id)) = &self.recent[slot]
            && **recent == *text
        {
            return Some(*id);
        }
        let id = self.find_in_generations(text)?;
        self.recent[slot] = Some((text.into(), id));
        Some(id)
    }

    fn find_in_generations(&mut self, text: &str) -> Option<i64> {
        if let Some(&id) = self.newer.get(text) {
            return Some(id);
        }
        let (text, id) = self.older.remove_entry(text)?;
        self.remember(text, id);
        Some(id)
    }

    fn remember(&mut self, text: Box<str>, id: i64) {
        if self.newer.len() >= GENERATION_SIZE {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(text, id);
    }
}

/// The slot of `text` in [`NameCache::recent`]. An attacker who predicts it gains nothing, because
/// a string that is not in its slot is looked up in the generations.
fn recent_slot(text: &str) -> usize {
    let step =
        |hash: u64, part: u64| (hash ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    let (parts, rest) = text.as_bytes().as_chunks::<8>();
    let hash =
        parts.iter().fold(text.len() as u64, |hash, part| step(hash, u64::from_le_bytes(*part)));
    let hash = rest.iter().fold(hash, |hash, &byte| step(hash, byte.into()));
    hash as usize % RECENT_SLOTS
}

/// Translates strings to numbers within a transaction, and adds those that are missing.
pub(crate) struct Dictionary<'t> {
    names: &'t mut NameCache,
    find: CachedStatement<'t>,
    add: CachedStatement<'t>,
}

impl<'t> Dictionary<'t> {
    pub(crate) fn new(
        transaction: &'t Connection,
        names: &'t mut NameCache,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            names,
            find: transaction.prepare_cached("SELECT id FROM main.audit_name WHERE text = ?1")?,
            add: transaction.prepare_cached("INSERT INTO main.audit_name (text) VALUES (?1)")?,
        })
    }

    /// The number of `text`. A string without a number gets one.
    pub(crate) fn id(&mut self, text: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.names.cached(text) {
            return Ok(id);
        }
        let found = self.find.query_row([text], |row| row.get(0)).optional()?;
        let id = match found {
            Some(id) => id,
            None => self.add.insert([text])?,
        };
        if text.len() <= MAX_CACHED_BYTES {
            self.names.remember(text.into(), id);
        }
        Ok(id)
    }

    /// Keeps the statements out of the connection's statement cache.
    pub(crate) fn discard(self) {
        self.find.discard();
        self.add.discard();
    }

    /// As [`id`](Self::id), for a column that may be NULL.
    #[inline]
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
    fn a_string_keeps_its_number_after_many_other_strings() {
        let (connection, mut names) = (table(), NameCache::default());
        let mut dictionary = Dictionary::new(&connection, &mut names).unwrap();
        let first = dictionary.id("transfer funds").unwrap();
        for n in 0..3 * GENERATION_SIZE {
            dictionary.id(&format!("actor {n}")).unwrap();
        }
        assert_eq!(dictionary.id("transfer funds").unwrap(), first);
        let Dictionary { names, .. } = &dictionary;
        assert!(names.newer.len() + names.older.len() <= 2 * GENERATION_SIZE);
    }

    #[test]
    fn a_string_in_use_is_not_dropped() {
        let (connection, mut names) = (table(), NameCache::default());
        let mut dictionary = Dictionary::new(&connection, &mut names).unwrap();
        for n in 0..3 * GENERATION_SIZE {
            dictionary.id("transfer funds").unwrap();
            dictionary.id(&format!("actor {n}")).unwrap();
        }
        assert!(dictionary.names.cached("transfer funds").is_some());
        assert!(dictionary.names.cached("actor 0").is_none());
    }

    #[test]
    fn long_strings_are_not_cached() {
        let (connection, mut names) = (table(), NameCache::default());
        let long = "x".repeat(MAX_CACHED_BYTES + 1);
        let mut dictionary = Dictionary::new(&connection, &mut names).unwrap();
        let id = dictionary.id(&long).unwrap();
        assert_eq!(dictionary.id(&long).unwrap(), id);
        assert!(dictionary.names.newer.is_empty());
    }
}
