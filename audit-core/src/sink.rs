//! [`Sink`]: where records go.

use crate::history::ChangeReader;
use crate::{Error, Record};

/// Where the recorder's writer thread puts its records.
///
/// Calls come from one thread at a time. A sink may itself call audited functions; calls made on the
/// writer thread are not recorded.
pub trait Sink: Send + 'static {
    /// Stores all of `records`, in their order, or none of them.
    ///
    /// # Errors
    ///
    /// [`Error::transient`] where trying again may help: the recorder will offer the same records
    /// again. [`Error::permanent`] otherwise: the records are counted as failed and given up.
    fn write(&mut self, records: &[Record]) -> Result<(), Error>;

    /// A way to read changes back, beside the writing; `None` if the store has none. Asked for once, before
    /// the first [`write`](Sink::write).
    ///
    /// # Errors
    ///
    /// When the store can't be opened for reading.
    fn reader(&mut self) -> Result<Option<Box<dyn ChangeReader>>, Error> {
        Ok(None)
    }

    /// Called once, after the last [`write`](Sink::write).
    ///
    /// # Errors
    ///
    /// When the store could not be closed in order. What was written before stays written.
    fn close(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl Sink for Box<dyn Sink> {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        (**self).write(records)
    }

    fn reader(&mut self) -> Result<Option<Box<dyn ChangeReader>>, Error> {
        (**self).reader()
    }

    fn close(&mut self) -> Result<(), Error> {
        (**self).close()
    }
}
