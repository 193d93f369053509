//! How a store uses its connection: it checks the files before and after, and replaces the
//! connection after an error.

use std::fs::Metadata;
use std::sync::Weak;

use audit_record::Error;

use super::SqliteStore;
use crate::connection::{WalTrust, WriteConnection};
use crate::error::{CUT_INDEX, StoreError};
use crate::insert::Inserter;
use crate::log::{LogFiles, is_index_mapped};
use crate::watch::Use;

impl SqliteStore {
    /// Checks the files, and calls `f` with the connection, or with a new one if there is none that
    /// can be trusted.
    pub(super) fn with_connection<T>(
        &mut self,
        operation: &str,
        f: impl FnOnce(&mut Self, &mut WriteConnection) -> Result<T, StoreError>,
    ) -> Result<T, Error> {
        let database = self.file.check(operation, &self.path)?;
        // If the files can't be looked at right now, they are not known to be lost.
        let log = LogFiles::find(&self.path).ok();
        let (mut writer, is_new) = self
            .take_connection(operation, log.flatten())
            .map_err(|failure| failure.into_error(operation, &self.path))?;
        let result = self
            .replace_lost_wal(&mut writer, log)
            .and_then(|log| self.check_content(&mut writer, operation, &database, log))
            .and_then(|()| self.keep_schema(&mut writer))
            .and_then(|()| f(self, &mut writer));
        self.put_back(writer, result.as_ref().err());
        result.map_err(|failure| match is_new {
            true => failure.into_error(operation, &self.path),
            false => failure.into_retryable_error(operation, &self.path),
        })
    }

    /// Takes the connection out, so that a panic half-way drops it. Returns whether it is new.
    fn take_connection(
        &mut self,
        operation: &str,
        log: Option<LogFiles>,
    ) -> Result<(WriteConnection, bool), StoreError> {
        if self.watch.is_index_cut(log) {
            self.abandon_index(operation)?;
        }
        if let Some(writer) = self.connection.take() {
            return Ok((writer, false));
        }
        self.inserter = Inserter::default();
        self.wal_trust = self.wal_trust.max(WalTrust::Inherited);
        self.watch.reset();
        Ok((self.options.reconnect_for_writing(operation, &self.path, &self.trail)?, true))
    }

    /// Closes all connections of this store, so that the next one makes SQLite write a new `-shm`
    /// file.
    fn abandon_index(&mut self, operation: &str) -> Result<(), StoreError> {
        if let Some(writer) = self.connection.take() {
            writer.close_without_checkpoint();
        }
        self.close_idle_readers();
        // Another connection of this process would make the new one use the memory of the old file.
        if is_index_mapped(&self.path) {
            return Err(StoreError::lost(operation, &self.path, CUT_INDEX));
        }
        self.watch.forget_index();
        Ok(())
    }

    fn close_idle_readers(&self) {
        self.readers.iter().filter_map(Weak::upgrade).for_each(|reader| reader.close_if_idle());
    }

    /// Keeps the connection after a use, unless `failure` shows that it can't be trusted.
    fn put_back(&mut self, writer: WriteConnection, failure: Option<&StoreError>) {
        if failure.is_some_and(StoreError::invalidates_connection) {
            self.wal_trust = WalTrust::DiskError;
            writer.close_without_checkpoint();
            self.repair_wal();
        } else if failure.is_some_and(StoreError::needs_new_connection) {
            writer.close_without_checkpoint();
        } else if writer.connection.is_autocommit() && writer.settings_fit_journal_mode() {
            self.connection = Some(writer);
        }
    }

    /// Writes the log to the disk again after a disk error.
    ///
    /// If this fails, the next batch tries again. It does not wait for that batch: until the log is
    /// complete, a checkpoint of another program could make the database depend on a log with gaps.
    fn repair_wal(&mut self) {
        let connected = self.options.reconnect_for_writing("write to", &self.path, &self.trail);
        let Ok(mut writer) = connected else { return };
        if writer.rewrite_wal(&self.path).is_ok() {
            self.wal_trust = WalTrust::Inherited;
        }
        writer.close_without_checkpoint();
    }

    /// Creates a new log if the `-wal` or `-shm` file was deleted or replaced. Returns what is found
    /// of these files then.
    fn replace_lost_wal(
        &self,
        writer: &mut WriteConnection,
        log: Option<Option<LogFiles>>,
    ) -> Result<Option<LogFiles>, StoreError> {
        let Some(log) = log else { return Ok(None) };
        if !writer.has_lost_wal(log, &self.path) {
            return Ok(log);
        }
        // An open read connection of this process would prevent it.
        self.close_idle_readers();
        writer.replace_lost_wal(&self.path)?;
        Ok(LogFiles::find(&self.path).ok().flatten())
    }

    /// Checks that the trail is still in the files.
    fn check_content(
        &mut self,
        writer: &mut WriteConnection,
        operation: &str,
        database: &Metadata,
        log: Option<LogFiles>,
    ) -> Result<(), StoreError> {
        let at = Use { operation, path: &self.path };
        self.watch.check(writer, &self.trail, at, database, log)
    }

    /// Checks after a write that the files were not moved away or cut during it.
    pub(super) fn check_written(&mut self) -> Result<(), Error> {
        let database = self.file.check("write to", &self.path)?;
        let Ok(log) = LogFiles::find(&self.path) else { return Ok(()) };
        let is_lost =
            self.connection.as_mut().is_some_and(|writer| writer.has_lost_wal(log, &self.path));
        if is_lost {
            return Err(Error::transient(format!(
                "cannot write to the audit trail `{}`: the `-wal` or `-shm` file beside it was \
                 deleted or replaced during the write; leave these files alone while the trail is \
                 in use",
                self.path.display()
            )));
        }
        if self.watch.is_index_cut(log) || !self.watch.note_commit(&database, log) {
            return Ok(());
        }
        self.with_connection("write to", |_, _| Ok(()))
    }

    /// Checks the files, and closes the connection. The log is moved into the trail only if the
    /// trail is still there.
    pub(super) fn close_connection(&mut self) -> Result<(), Error> {
        if self.connection.is_none() {
            self.with_connection("close", |_, _| Ok(()))?;
        }
        let Some(mut writer) = self.connection.take() else { return Ok(()) };
        let database = self.file.check("close", &self.path);
        let log = LogFiles::find(&self.path).ok().flatten();
        if self.watch.is_index_cut(log) || self.file.is_emptied(&self.path) {
            // The next connection reads the log.
            writer.close_without_checkpoint();
            return database.map(drop);
        }
        let closed = match &database {
            // The content of a log that was deleted, and a file that was moved away, are still open.
            Ok(database) if !writer.has_lost_wal(log, &self.path) => {
                self.check_content(&mut writer, "close", database, log)
            }
            _ => Ok(()),
        };
        let closed = match closed {
            Ok(()) => writer.close(&self.path, self.wal_trust),
            Err(failure) => {
                writer.close_without_checkpoint();
                Err(failure)
            }
        };
        database.and(closed.map_err(|failure| failure.into_error("close", &self.path)))
    }
}
