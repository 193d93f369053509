//! [`CrashPointStore`]: a store that kills the process at a point that the parent selects.

use audited::store::{Batch, RecorderSession, Store};
use audited::{Error, Record, SqliteStore};

use super::{kill_this_process, setting};

type OnArrival = Box<dyn FnMut() + Send>;

/// A SQLite store with named points before and after each step. The process is killed at the point
/// that the parent names.
pub(super) struct CrashPointStore {
    store: SqliteStore,
    /// The point, and how many more arrivals at it remain until the kill.
    crash: Option<(String, u32)>,
    /// A point at which the store blocks forever, after it has called the function.
    block: Option<(&'static str, OnArrival)>,
}

impl CrashPointStore {
    /// Reads the settings `AUDITED_TEST_POINT` and `AUDITED_TEST_TIMES`.
    pub(super) fn new(store: SqliteStore) -> Self {
        let times =
            setting("AUDITED_TEST_TIMES").map_or(1, |times| times.parse().expect("a number"));
        let crash = setting("AUDITED_TEST_POINT").map(|point| (point, times));
        Self { store, crash, block: None }
    }

    /// Makes the store call `on_arrival` at `point`, and then block forever.
    pub(super) fn block_at(
        mut self,
        point: &'static str,
        on_arrival: impl FnMut() + Send + 'static,
    ) -> Self {
        self.block = Some((point, Box::new(on_arrival)));
        self
    }

    fn arrive(&mut self, point: &str) {
        if let Some((block, on_arrival)) = &mut self.block
            && *block == point
        {
            on_arrival();
            loop {
                std::thread::park();
            }
        }
        let Some((crash, left)) = &mut self.crash else { return };
        if *crash == point {
            *left -= 1;
            if *left == 0 {
                kill_this_process();
            }
        }
    }
}

impl Store for CrashPointStore {
    fn write(&mut self, records: &[Record]) -> Result<(), Error> {
        self.write_batch(&Batch::new(records))
    }

    fn write_batch(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        self.arrive("before write");
        self.store.write_batch(batch)?;
        self.arrive("after write");
        Ok(())
    }

    fn begin(&mut self, session: &RecorderSession) -> Result<(), Error> {
        self.arrive("before begin");
        self.store.begin(session)?;
        self.arrive("after begin");
        Ok(())
    }

    fn maintain(&mut self) -> Result<(), Error> {
        self.store.maintain()
    }

    fn close(&mut self) -> Result<(), Error> {
        self.arrive("before close");
        self.store.close()?;
        self.arrive("after close");
        Ok(())
    }
}
