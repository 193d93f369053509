//! [`Savepoint`]: a part of somebody else's transaction that can be taken back alone.

use rusqlite::Connection;

use crate::error::Failure;

/// What is done from here on is undone when this is dropped, unless it was released.
///
/// Not rusqlite's own, which asks for the connection to itself; here the caller's transaction has it.
pub(crate) struct Savepoint<'t> {
    connection: &'t Connection,
    released: bool,
}

impl<'t> Savepoint<'t> {
    pub(crate) fn new(connection: &'t Connection) -> Result<Self, Failure> {
        connection.execute_batch("SAVEPOINT audit_records")?;
        Ok(Self { connection, released: false })
    }

    /// Leaves what was done to the transaction around.
    pub(crate) fn release(mut self) -> Result<(), Failure> {
        self.connection.execute_batch("RELEASE audit_records")?;
        self.released = true;
        Ok(())
    }
}

impl Drop for Savepoint<'_> {
    fn drop(&mut self) {
        // On some errors, a full disk for one, SQLite has rolled back the whole transaction already.
        if !self.released && !self.connection.is_autocommit() {
            // What fails here would fail at commit as well; there is nobody to tell it to.
            let _ =
                self.connection.execute_batch("ROLLBACK TO audit_records; RELEASE audit_records");
        }
    }
}
