//! The file itself: where it may be, how it is created, and whether it is still the same one.
//!
//! Once SQLite has the file open, nothing here may open it: on Unix, closing any descriptor of a
//! file drops all locks that the process holds on it, SQLite's among them. So it is only looked
//! at by `stat`.

use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use audit_core::Error;

use crate::error::{NOT_A_DATABASE, explain_create};

/// Checks that `path` may name a trail, and makes it absolute: the program may change its
/// working directory later.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, Error> {
    let text = path.to_string_lossy();
    if text.is_empty() {
        return Err(Error::permanent(
            "cannot open the audit trail: the path is empty; name a file, such as `audit.db`",
        ));
    }
    if text == ":memory:" {
        return Err(Error::permanent(
            "cannot open the audit trail `:memory:`: a trail in memory is lost when the program \
             ends; name a file, and in tests use `audited::testing::capture`",
        ));
    }
    if text.starts_with("file:") {
        return Err(Error::permanent(format!(
            "cannot open the audit trail `{text}`: it is a URI; give the plain path of the file"
        )));
    }
    std::path::absolute(path).map_err(|error| explain_create(path, error))
}

/// Makes sure that there is a regular file at `path`.
///
/// A file that is created can be read and written by its owner only, from its first moment; the
/// `-wal` and `-shm` files that SQLite puts beside it take over its mode. A file that is there
/// already keeps the mode that it has.
pub(crate) fn ensure(path: &Path) -> Result<(), Error> {
    // Held until the new file is closed again. Otherwise another store of this process could
    // open the file in between, and lose its locks by that close.
    static CREATING: Mutex<()> = Mutex::new(());
    let _guard = CREATING.lock().unwrap_or_else(PoisonError::into_inner);

    match fs::metadata(path) {
        // SQLite takes a file of one byte for an empty one, and would write over it.
        Ok(metadata) if metadata.is_file() && metadata.len() != 1 => return Ok(()),
        Ok(metadata) => return Err(not_a_file(path, &metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(explain_create(path, error)),
    }
    match create_private(path) {
        Ok(()) => Ok(()),
        // Another process was faster: that file is as good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(explain_create(path, error)),
    }
}

fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn not_a_file(path: &Path, metadata: &Metadata) -> Error {
    let path = path.display();
    Error::permanent(if metadata.is_dir() {
        format!(
            "cannot open the audit trail `{path}`: it is a directory; name a file in it, such as \
             `audit.db`"
        )
    } else if metadata.is_file() {
        format!("cannot open the audit trail `{path}`: {NOT_A_DATABASE}")
    } else {
        format!("cannot open the audit trail `{path}`: it is no regular file; choose another path")
    })
}

/// Which file a path named when the store was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    #[cfg(unix)]
    device_and_inode: (u64, u64),
}

impl FileId {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from_metadata(&fs::metadata(path)?))
    }

    #[cfg(unix)]
    fn from_metadata(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { device_and_inode: (metadata.dev(), metadata.ino()) }
    }

    /// Elsewhere a file in use can't be moved away, so being there is enough.
    #[cfg(not(unix))]
    fn from_metadata(_: &Metadata) -> Self {
        Self {}
    }

    /// Checks that `path` still names this file: records written to a file that has been moved
    /// away would be lost to whoever looks at `path`, and what is read there is not what `path` holds.
    pub(crate) fn check(self, doing: &str, path: &Path) -> Result<(), Error> {
        let shown = path.display();
        match Self::of(path) {
            Ok(now) if now == self => Ok(()),
            Ok(_) => Err(Error::transient(format!(
                "cannot {doing} the audit trail `{shown}`: another file has taken its place since \
                 it was opened; put the first one back, or restart the program to go on with the \
                 new one"
            ))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::transient(format!(
                "cannot {doing} the audit trail `{shown}`: it was deleted or moved away since it \
                 was opened; put it back, or restart the program to begin a new one"
            ))
            .with_source(error)),
            Err(error) => Err(Error::transient(format!(
                "cannot {doing} the audit trail `{shown}`: it can't be found any more; check its \
                 directory"
            ))
            .with_source(error)),
        }
    }
}
