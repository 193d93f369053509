//! The file of a trail: where it may be, how it is created, and whether it is still the same file.
//!
//! Once SQLite has the file open, this module must not open it: on Unix, closing any descriptor of
//! a file drops all locks that the process holds on it, including SQLite's. So it only uses `stat`.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use audit_record::Error;

use crate::error::{NO_CONTENT, NOT_A_DATABASE, StoreError, explain_create};
use crate::file_system::check_file_system;

/// The path of a file, as given and resolved.
pub(crate) struct FilePaths {
    /// The given path, made absolute, because the program may change its working directory later.
    pub(crate) given: PathBuf,
    /// Without symbolic links. With two names, SQLite would create two `-wal` files for one
    /// database.
    pub(crate) resolved: PathBuf,
}

/// Checks that `path` may name a trail, and resolves symbolic links.
pub(crate) fn resolve(path: &Path) -> Result<FilePaths, Error> {
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
    let given = std::path::absolute(path).map_err(|error| explain_create(path, error))?;
    Ok(FilePaths { resolved: resolve_links(&given)?, given })
}

#[cfg(unix)]
fn resolve_links(path: &Path) -> Result<PathBuf, Error> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // `ensure_exists` reports any other problem with it.
        found => return Ok(found.unwrap_or_else(|_| path.to_owned())),
    }
    if let Ok(target) = fs::read_link(path) {
        return Err(Error::permanent(format!(
            "cannot open the audit trail `{}`: it is a symbolic link to `{}`, which does not \
             exist; name the file itself, or remove the link",
            path.display(),
            target.display()
        )));
    }
    let (directory, name) = (path.parent().map(fs::canonicalize), path.file_name());
    Ok(match (directory, name) {
        (Some(Ok(directory)), Some(name)) => directory.join(name),
        _ => path.to_owned(),
    })
}

/// On other systems, the resolved path has a form that not every program understands.
#[cfg(not(unix))]
fn resolve_links(path: &Path) -> Result<PathBuf, Error> {
    Ok(path.to_owned())
}

/// The path of a file beside the trail, such as its `-wal` file.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Creates the file at `path` if it does not exist, and checks that it is a regular file.
///
/// Only the owner can read and write a new file, from its first moment. SQLite gives the `-wal` and
/// `-shm` files beside it the same mode. An existing file keeps its mode.
/// `network_file_system`: whether a network file system is allowed.
pub(crate) fn ensure_exists(path: &Path, network_file_system: bool) -> Result<(), Error> {
    // Held until the new file is closed again. Otherwise another store of this process could open
    // the file in between, and would lose its locks at that close.
    static CREATING: Mutex<()> = Mutex::new(());
    let _guard = CREATING.lock().unwrap_or_else(PoisonError::into_inner);

    check_file_system(path, network_file_system)?;
    match fs::metadata(path) {
        Ok(metadata) if has_other_names(&metadata) => {
            return Err(Error::permanent(format!(
                "cannot open the audit trail `{}`: {OTHER_NAMES}",
                path.display()
            )));
        }
        // SQLite treats a file of one byte as empty, and would overwrite it.
        Ok(metadata) if metadata.is_file() && metadata.len() != 1 => return Ok(()),
        Ok(metadata) => return Err(not_a_regular_file(path, &metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(explain_create(path, error)),
    }
    match create_private(path).and_then(|()| sync_directory(path)) {
        Ok(()) => Ok(()),
        // Another process was faster. Its file is just as good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(explain_create(path, error)),
    }
}

/// Creates a file that only its owner can read and write.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Makes the name of a file that was just created survive a power loss.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    // A directory that can be written but not read can't be synced. SQLite tries again when it
    // first syncs a log that it has created.
    let Some(directory) = path.parent().and_then(|parent| fs::File::open(parent).ok()) else {
        return Ok(());
    };
    match directory.sync_all() {
        // Some file systems do not support this.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
}

/// On other systems, a directory can't be opened as a file.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Overwrites the `-wal` file with its own content, and syncs it and its directory.
///
/// SQLite may have the file open, because its locks are on the other two files. No connection may
/// write to it at the same time.
pub(crate) fn rewrite(log: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(log) {
        Ok(file) => file,
        // Without a log, there is nothing to write.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut part = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        let count = match file.read(&mut part) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&part[..count])?;
        at += count as u64;
    }
    file.sync_all()?;
    sync_directory(log)
}

fn not_a_regular_file(path: &Path, metadata: &Metadata) -> Error {
    let path = path.display();
    if metadata.is_dir() {
        Error::permanent(format!(
            "cannot open the audit trail `{path}`: it is a directory; name a file in it, such as \
             `audit.db`"
        ))
    } else if metadata.is_file() {
        Error::damaged(format!("cannot open the audit trail `{path}`: {NOT_A_DATABASE}"))
    } else {
        Error::permanent(format!(
            "cannot open the audit trail `{path}`: it is not a regular file; choose another path"
        ))
    }
}

const OTHER_NAMES: &str = "it has more than one name (hard links), and SQLite would create a \
    separate `-wal` file for each name; remove the other names";

#[cfg(unix)]
fn has_other_names(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) > 1 && metadata.is_file()
}

#[cfg(not(unix))]
fn has_other_names(_: &Metadata) -> bool {
    false
}

/// The file of an open trail.
#[derive(Clone, Debug)]
pub(crate) struct TrailFile {
    /// The given path, if it leads through a symbolic link.
    given: Option<PathBuf>,
    id: FileId,
}

impl TrailFile {
    pub(crate) fn of(paths: &FilePaths) -> io::Result<Self> {
        let given = (paths.given != paths.resolved).then(|| paths.given.clone());
        Ok(Self { given, id: FileId::of(&paths.resolved)? })
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Checks that `path` and the given path still name this file, that it has content, and that it
    /// is still writable. Returns what `stat` says about it.
    pub(crate) fn check(&self, operation: &str, path: &Path) -> Result<Metadata, Error> {
        let found = self.id.check(operation, path)?;
        if let Some(given) = &self.given {
            self.id.check(operation, given)?;
        }
        Ok(found)
    }

    /// Whether `path` names this file, and it is too short for a database.
    pub(crate) fn is_emptied(&self, path: &Path) -> bool {
        fs::metadata(path)
            .is_ok_and(|now| FileId::from_metadata(&now) == self.id && is_too_short(&now))
    }
}

/// The smallest page of SQLite, and so the smallest database.
fn is_too_short(metadata: &Metadata) -> bool {
    metadata.len() < 512
}

/// The identity of a file.
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
    pub(crate) fn from_metadata(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { device_and_inode: (metadata.dev(), metadata.ino()) }
    }

    /// On other systems, a file in use can't be moved away, so it is enough that it exists.
    #[cfg(not(unix))]
    pub(crate) fn from_metadata(_: &Metadata) -> Self {
        Self {}
    }

    /// The form that is stored with a session; `None` on systems without such numbers.
    pub(crate) fn text(self) -> Option<String> {
        #[cfg(unix)]
        return Some(format!("{}:{}", self.device_and_inode.0, self.device_and_inode.1));
        #[cfg(not(unix))]
        return None;
    }

    /// Checks that `path` still names this file. Otherwise records would be written to, or read
    /// from, a file that nobody finds at `path`.
    fn check(self, operation: &str, path: &Path) -> Result<Metadata, Error> {
        let shown = path.display();
        let now = fs::metadata(path);
        match now.map(|now| (Self::from_metadata(&now) == self, now)) {
            Ok((true, now)) if has_other_names(&now) => Err(Error::transient(format!(
                "cannot {operation} the audit trail `{shown}`: {OTHER_NAMES}"
            ))),
            // SQLite would continue to write to the file that it has open.
            Ok((true, now)) if operation != "read" && now.permissions().readonly() => {
                Err(Error::transient(format!(
                    "cannot {operation} the audit trail `{shown}`: it was made read-only; make \
                     it writable for its owner again"
                )))
            }
            // SQLite would treat an empty file as a new database, and would delete its `-wal` file.
            Ok((true, now)) if is_too_short(&now) => {
                Err(StoreError::lost(operation, path, NO_CONTENT).into_error(operation, path))
            }
            Ok((true, now)) => Ok(now),
            Ok((false, _)) => Err(Error::transient(format!(
                "cannot {operation} the audit trail `{shown}`: another file has replaced it since \
                 it was opened; put the original back, or restart the program to use the new file"
            ))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::transient(format!(
                "cannot {operation} the audit trail `{shown}`: it was deleted or moved away since \
                 it was opened; put it back, or restart the program to create a new one"
            ))
            .with_source(error)),
            Err(error) => Err(Error::transient(format!(
                "cannot {operation} the audit trail `{shown}`: it can no longer be found; check \
                 its directory"
            ))
            .with_source(error)),
        }
    }
}
