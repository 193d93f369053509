//! [`Staged`]: a store in which the process dies where the test says.

use audited::{Batch, Error, Record, Session, Sink, SqliteStore};

use super::{die, setting};

type Tell = Box<dyn FnMut() + Send>;

/// A SQLite store around whose steps there are points; at the one named by the parent, the process dies.
pub(super) struct Staged {
    store: SqliteStore,
    /// The point, and which arrival at it is the last.
    at: Option<(String, u32)>,
    /// Another point, at which the store stops for ever, once it has told so.
    stop: Option<(&'static str, Tell)>,
}

impl Staged {
    /// By the settings `AUDITED_TEST_POINT` and `AUDITED_TEST_TIMES`.
    pub(super) fn new(store: SqliteStore) -> Self {
        let times =
            setting("AUDITED_TEST_TIMES").map_or(1, |times| times.parse().expect("a number"));
        Self { store, at: setting("AUDITED_TEST_POINT").map(|point| (point, times)), stop: None }
    }

    /// Stops at `point` for ever.
    pub(super) fn stops_at(
        mut self,
        point: &'static str,
        tell: impl FnMut() + Send + 'static,
    ) -> Self {
        self.stop = Some((point, Box::new(tell)));
        self
    }

    fn arrive(&mut self, point: &str) {
        if let Some((stop, tell)) = &mut self.stop
            && *stop == point
        {
            tell();
            loop {
                std::thread::park();
            }
        }
        let Some((at, left)) = &mut self.at else { return };
        if *at == point {
            *left -= 1;
            if *left == 0 {
                die();
            }
        }
    }
}

impl Sink for Staged {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.write_batch(&Batch::new(records))
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        self.arrive("before write");
        self.store.write_batch(batch)?;
        self.arrive("after write");
        Ok(())
    }

    fn begin(&mut self, session: &Session) -> Result<(), Error> {
        self.arrive("before begin");
        self.store.begin(session)?;
        self.arrive("after begin");
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        self.arrive("before close");
        self.store.close()?;
        self.arrive("after close");
        Ok(())
    }
}
