//! The file itself: where it may be, how it is created, and whether it is still the same one.
//!
//! Once SQLite has the file open, nothing here may open it: on Unix, closing any descriptor of a
//! file drops all locks that the process holds on it, SQLite's among them. So it is only looked
//! at by `stat`.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use audit_record::Error;

use crate::error::{NOT_A_DATABASE, explain_create};
use crate::file_system;

/// The names of a file.
pub(crate) struct Names {
    /// As it was named, made absolute: the program may change its working directory later.
    pub(crate) given: PathBuf,
    /// Without symbolic links: by two names, SQLite would put two `-wal` files beside the one database.
    pub(crate) real: PathBuf,
}

/// Checks that `path` may name a trail, and finds what it names.
pub(crate) fn resolve(path: &Path) -> Result<Names, Error> {
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
    Ok(Names { real: real(&given)?, given })
}

#[cfg(unix)]
fn real(path: &Path) -> Result<PathBuf, Error> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // Whatever else is wrong with it is told by `ensure`.
        found => return Ok(found.unwrap_or_else(|_| path.to_owned())),
    }
    if let Ok(target) = fs::read_link(path) {
        return Err(Error::permanent(format!(
            "cannot open the audit trail `{}`: it is a symbolic link to `{}`, which does not exist; name the file \
             itself, or remove the link",
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

/// Elsewhere the real path has a form that not every program understands.
#[cfg(not(unix))]
fn real(path: &Path) -> Result<PathBuf, Error> {
    Ok(path.to_owned())
}

/// A file of SQLite's beside the trail.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes sure that there is a regular file at `path`.
///
/// A file that is created can be read and written by its owner only, from its first moment; the
/// `-wal` and `-shm` files that SQLite puts beside it take over its mode. A file that is there
/// already keeps the mode that it has. `anywhere`: whatever the file system is.
pub(crate) fn ensure(path: &Path, anywhere: bool) -> Result<(), Error> {
    // Held until the new file is closed again. Otherwise another store of this process could
    // open the file in between, and lose its locks by that close.
    static CREATING: Mutex<()> = Mutex::new(());
    let _guard = CREATING.lock().unwrap_or_else(PoisonError::into_inner);

    file_system::check(path, anywhere)?;
    match fs::metadata(path) {
        Ok(metadata) if has_other_names(&metadata) => {
            return Err(Error::permanent(format!(
                "cannot open the audit trail `{}`: {OTHER_NAMES}",
                path.display()
            )));
        }
        // SQLite takes a file of one byte for an empty one, and would write over it.
        Ok(metadata) if metadata.is_file() && metadata.len() != 1 => return Ok(()),
        Ok(metadata) => return Err(not_a_file(path, &metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(explain_create(path, error)),
    }
    match create_private(path).and_then(|()| sync_directory(path)) {
        Ok(()) => Ok(()),
        // Another process was faster: that file is as good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(explain_create(path, error)),
    }
}

pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Makes the name of a file that was just created survive a loss of power.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    // A directory that may be written to and not be read can't be synced. SQLite tries to once more when it first
    // syncs a log that it has created.
    let Some(directory) = path.parent().and_then(|parent| fs::File::open(parent).ok()) else {
        return Ok(());
    };
    match directory.sync_all() {
        // Some file systems have nothing to sync there, and say so.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
}

/// Elsewhere a directory is no file.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Writes what the `-wal` file holds over itself, and syncs it and its name.
///
/// It may be opened while SQLite has it open, for SQLite's locks are on the other two files. Nobody may write to it
/// meanwhile.
pub(crate) fn write_again(log: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(log) {
        Ok(file) => file,
        // Nothing has been lost of what is not there.
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

const OTHER_NAMES: &str = "it has more than one name (hard links), and by each of them SQLite would put a `-wal` file of \
    its own beside it; remove the other names";

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
    /// As it was named, if that was by a symbolic link.
    given: Option<PathBuf>,
    id: FileId,
}

impl TrailFile {
    pub(crate) fn of(names: &Names) -> io::Result<Self> {
        let given = (names.given != names.real).then(|| names.given.clone());
        Ok(Self { given, id: FileId::of(&names.real)? })
    }

    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Checks that `path`, and what it was named by, still name this file, and that it may still be written to.
    pub(crate) fn check(&self, doing: &str, path: &Path) -> Result<(), Error> {
        self.id.check(doing, path)?;
        match &self.given {
            Some(given) => self.id.check(doing, given),
            None => Ok(()),
        }
    }
}

/// Which file a path names.
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

    /// As it is kept of a session; `None` where files have no such numbers.
    pub(crate) fn text(self) -> Option<String> {
        #[cfg(unix)]
        return Some(format!("{}:{}", self.device_and_inode.0, self.device_and_inode.1));
        #[cfg(not(unix))]
        return None;
    }

    /// Checks that `path` still names this file: records written to a file that has been moved
    /// away would be lost to whoever looks at `path`, and what is read there is not what `path` holds.
    fn check(self, doing: &str, path: &Path) -> Result<(), Error> {
        let shown = path.display();
        let now = fs::metadata(path);
        match now.map(|now| (Self::from_metadata(&now) == self, now)) {
            Ok((true, now)) if has_other_names(&now) => Err(Error::transient(format!(
                "cannot {doing} the audit trail `{shown}`: {OTHER_NAMES}"
            ))),
            // SQLite would go on by the file that it has open.
            Ok((true, now)) if doing != "read" && now.permissions().readonly() => {
                Err(Error::transient(format!(
                    "cannot {doing} the audit trail `{shown}`: it was made read-only; let its owner write to it again"
                )))
            }
            Ok((true, _)) => Ok(()),
            Ok((false, _)) => Err(Error::transient(format!(
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
