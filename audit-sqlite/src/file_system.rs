//! [`check_file_system`]: refuses file systems on which SQLite's write-ahead log is not safe.

use std::path::Path;

use audit_record::Error;

/// Refuses network and cluster file systems, unless they are `allowed`. The index of the log is
/// memory that processes share, which works on one machine only. Many of these file systems also do
/// not implement locks and syncs correctly.
///
/// FUSE is accepted: most uses of it are local (encryption, disks of other systems), and a network
/// file system behind it (sshfs, buckets) can't be distinguished from these.
pub(crate) fn check_file_system(path: &Path, allowed: bool) -> Result<(), Error> {
    check_network(path, network_name(path), allowed)
}

fn check_network(path: &Path, network: Option<&str>, allowed: bool) -> Result<(), Error> {
    let Some(name) = network.filter(|_| !allowed) else { return Ok(()) };
    Err(Error::permanent(format!(
        "cannot open the audit trail `{}`: it is on a network file system ({name}), where SQLite's \
         locks are not safe; choose a path on a local disk, or call \
         `SqliteStoreBuilder::network_file_system(true)` if no other machine writes there and \
         locks and syncs work",
        path.display()
    )))
}

#[cfg(target_os = "linux")]
fn network_name(path: &Path) -> Option<&'static str> {
    // A file that does not exist yet will be on the file system of its directory.
    let status = rustix::fs::statfs(path).or_else(|error| match path.parent() {
        Some(directory) => rustix::fs::statfs(directory),
        None => Err(error),
    });
    // The numbers have 32 bits on every platform; the field may be wider or signed.
    name_of_kind(status.ok()?.f_type as u32)
}

#[cfg(not(target_os = "linux"))]
fn network_name(_: &Path) -> Option<&'static str> {
    None
}

/// The name of a network or cluster file system, by its number in `statfs`.
#[cfg(any(target_os = "linux", test))]
fn name_of_kind(kind: u32) -> Option<&'static str> {
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
    fn network_file_systems_have_names_and_local_ones_do_not() {
        assert_eq!(name_of_kind(0x6969), Some("NFS"));
        assert_eq!(name_of_kind(0xFF53_4D42), Some("CIFS"));
        assert_eq!(name_of_kind(0x0102_1997), Some("9P"));
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
            assert_eq!(name_of_kind(local), None, "{local:x}");
        }
    }

    #[test]
    fn a_network_file_system_is_refused_unless_it_is_allowed() {
        let path = Path::new("/srv/audit.db");
        check_network(path, None, false).unwrap();
        check_network(path, Some("9P"), true).unwrap();
        assert_eq!(
            check_network(path, Some("9P"), false).unwrap_err().to_string(),
            "cannot open the audit trail `/srv/audit.db`: it is on a network file system (9P), \
             where SQLite's locks are not safe; choose a path on a local disk, or call \
             `SqliteStoreBuilder::network_file_system(true)` if no other machine writes there and \
             locks and syncs work"
        );
    }

    #[test]
    fn a_missing_file_is_checked_by_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        check_file_system(&directory.path().join("audit.db"), false).unwrap();
        check_file_system(Path::new("/nowhere/at/all"), false).unwrap();
    }
}
