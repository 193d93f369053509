//! Whether a file system is one that SQLite's log can live on.

use std::path::Path;

use audit_record::Error;

/// Refuses file systems that other machines write to as well: the index of the log is memory that processes share,
/// which machines can't, and many of them only pretend to lock and to sync.
///
/// FUSE is let pass: most of what it is used for is local (encryption, other systems' disks), and a network file
/// system behind it (sshfs, buckets) can't be told from these.
///
/// `allowed`: the caller vouches for it, whatever it is.
pub(crate) fn check(path: &Path, allowed: bool) -> Result<(), Error> {
    judge(path, network_of(path), allowed)
}

fn judge(path: &Path, network: Option<&str>, allowed: bool) -> Result<(), Error> {
    let Some(name) = network.filter(|_| !allowed) else { return Ok(()) };
    Err(Error::permanent(format!(
        "cannot open the audit trail `{}`: it would be on a network file system ({name}), where the locks of SQLite are \
         not safe; choose a path on a local disk, or, if no other machine can write to this one and its locks and syncs \
         do work, say so by `SqliteStoreBuilder::network_file_system(true)`",
        path.display()
    )))
}

#[cfg(target_os = "linux")]
fn network_of(path: &Path) -> Option<&'static str> {
    // What is not there yet will be where its directory is.
    let about = rustix::fs::statfs(path).or_else(|error| match path.parent() {
        Some(directory) => rustix::fs::statfs(directory),
        None => Err(error),
    });
    // The numbers have 32 bits, whatever the width and sign of the field.
    name(about.ok()?.f_type as u32)
}

#[cfg(not(target_os = "linux"))]
fn network_of(_: &Path) -> Option<&'static str> {
    None
}

/// The network or cluster file system that `statfs` gives this number.
#[cfg(any(target_os = "linux", test))]
fn name(kind: u32) -> Option<&'static str> {
    Some(match kind {
        0x6969 => "NFS",
        0x517B => "SMB",
        0xFF53_4D42 => "CIFS",
        0xFE53_4D42 => "SMB2",
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x564C => "NCP",
        0x0102_1997 => "9P",
        0x00C3_6400 => "Ceph",
        0x0BD0_0BD0 => "Lustre",
        0x0116_1970 => "GFS2",
        0x7461_636F => "OCFS2",
        0x4750_4653 => "GPFS",
        0x1983_0326 => "BeeGFS",
        0x2003_0528 => "OrangeFS",
        0xAAD7_AAEA => "PanFS",
        0x786F_4256 => "a shared folder of VirtualBox",
        0xBACB_ACBC => "a shared folder of VMware",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_numbers_and_local_ones_are_not_among_them() {
        assert_eq!(name(0x6969), Some("NFS"));
        assert_eq!(name(0xFF53_4D42), Some("CIFS"));
        assert_eq!(name(0x0102_1997), Some("9P"));
        // ext, XFS, Btrfs, ZFS, tmpfs, overlay, F2FS, FUSE, eCryptfs.
        for local in [
            0xEF53,
            0x5846_5342,
            0x9123_683E,
            0x2FC1_2FC1,
            0x0102_1994,
            0x794C_7630,
            0xF2F5_2010,
            0x6573_5546,
            0xF15F,
        ] {
            assert_eq!(name(local), None, "{local:x}");
        }
    }

    #[test]
    fn a_network_is_refused_unless_the_caller_vouches_for_it() {
        let path = Path::new("/srv/audit.db");
        judge(path, None, false).unwrap();
        judge(path, Some("9P"), true).unwrap();
        assert_eq!(
            judge(path, Some("9P"), false).unwrap_err().to_string(),
            "cannot open the audit trail `/srv/audit.db`: it would be on a network file system (9P), where the locks of \
             SQLite are not safe; choose a path on a local disk, or, if no other machine can write to this one and its \
             locks and syncs do work, say so by `SqliteStoreBuilder::network_file_system(true)`"
        );
    }

    #[test]
    fn what_is_not_there_yet_is_where_its_directory_is() {
        let directory = tempfile::tempdir().unwrap();
        check(&directory.path().join("audit.db"), false).unwrap();
        check(Path::new("/nowhere/at/all"), false).unwrap();
    }
}
