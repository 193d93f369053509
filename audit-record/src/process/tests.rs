use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::*;

fn new_id() -> Uuid {
    crate::id::record_id(chrono::Utc::now().timestamp_micros())
}

#[test]
fn private_counters_start_at_zero_and_are_not_shared() {
    let counters = SessionCounters::private();
    assert!(!counters.is_shared());
    assert_eq!(counters.accepted().fetch_add(2, Ordering::Relaxed), 0);
    assert_eq!(counters.dropped().load(Ordering::Relaxed), 0);
    assert_eq!(counters.accepted().load(Ordering::Relaxed), 2);
}

#[test]
fn an_unknown_session_has_no_counters() {
    assert_eq!(read_counters(new_id()), None);
    remove_counters(new_id());
}

#[test]
fn counters_do_not_share_a_cache_line() {
    let counters = SessionCounters::private();
    let accepted = std::ptr::from_ref(counters.accepted()).addr();
    assert_eq!(std::ptr::from_ref(counters.dropped()).addr() - accepted, 128);
}

#[test]
fn the_current_process_is_its_own_owner() {
    assert_eq!(forks(), forks());
    assert!(OwnerProcess::current().is_current());
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    use super::*;

    fn path_of(id: Uuid) -> PathBuf {
        let user = system::user();
        Path::new("/dev/shm").join(format!("audited-{user}-{}", id.simple()))
    }

    /// The counters as the next start reads them.
    fn recovered(accepted: u64, dropped: u64) -> Option<RecoveredCounters> {
        Some(RecoveredCounters { accepted, dropped })
    }

    #[test]
    fn shared_counters_outlive_the_session_until_they_are_removed() {
        let id = new_id();
        let counters = SessionCounters::shared(id);
        assert!(counters.is_shared(), "this test needs a `/dev/shm` in memory");
        assert_eq!(read_counters(id), recovered(0, 0));
        counters.accepted().fetch_add(7, Ordering::Relaxed);
        counters.dropped().fetch_add(2, Ordering::Relaxed);
        assert_eq!(read_counters(id), recovered(7, 2));
        drop(counters);
        assert_eq!(read_counters(id), recovered(7, 2));
        remove_counters(id);
        assert_eq!(read_counters(id), None);
    }

    #[test]
    fn removed_counters_are_not_readable_but_still_count() {
        let id = new_id();
        let counters = SessionCounters::shared(id);
        counters.remove();
        assert!(!path_of(id).exists());
        assert_eq!(read_counters(id), None);
        assert_eq!(counters.accepted().fetch_add(1, Ordering::Relaxed), 0);
        assert_eq!(counters.accepted().load(Ordering::Relaxed), 1);
    }

    #[test]
    fn only_the_owner_can_read_the_page() {
        let id = new_id();
        let counters = SessionCounters::shared(id);
        let mode = fs::metadata(path_of(id)).expect("the file exists").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        counters.remove();
    }

    #[test]
    fn a_page_that_others_can_write_is_ignored() {
        let id = new_id();
        let counters = SessionCounters::shared(id);
        fs::set_permissions(path_of(id), fs::Permissions::from_mode(0o620))
            .expect("the file is ours");
        assert_eq!(read_counters(id), None);
        counters.remove();
    }

    #[test]
    fn an_existing_file_is_not_overwritten() {
        let id = new_id();
        fs::write(path_of(id), "of another program").expect("a file");
        let counters = SessionCounters::shared(id);
        assert!(!counters.is_shared());
        assert_eq!(read_counters(id), None);
        assert_eq!(fs::read(path_of(id)).expect("the file still exists"), b"of another program");
        remove_counters(id);
    }

    #[test]
    fn a_symlink_is_not_followed() {
        let (id, other) = (new_id(), new_id());
        let counters = SessionCounters::shared(other);
        symlink(path_of(other), path_of(id)).expect("a link");
        assert_eq!(read_counters(id), None);
        assert!(!SessionCounters::shared(id).is_shared());
        assert_eq!(read_counters(other), recovered(0, 0));
        remove_counters(id);
        counters.remove();
    }

    #[test]
    fn the_page_of_another_session_is_ignored() {
        let (id, other) = (new_id(), new_id());
        let counters = SessionCounters::shared(other);
        fs::copy(path_of(other), path_of(id)).expect("a copy");
        assert_eq!(read_counters(id), None);
        remove_counters(id);
        counters.remove();
    }

    #[test]
    fn a_truncated_page_is_ignored() {
        let id = new_id();
        drop(SessionCounters::shared(id));
        let file = fs::OpenOptions::new().write(true).open(path_of(id)).expect("the file is ours");
        file.set_len(64).expect("the file is ours");
        assert_eq!(read_counters(id), None);
        remove_counters(id);
    }

    #[test]
    fn the_oldest_pages_of_dead_processes_are_removed_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let alive = fs::File::create(folder.path().join("audited-1-0")).expect("a file");
        alive.try_lock().expect("the lock is free");
        for name in ["audited-1-c", "audited-1-a", "audited-1-b", "audited-12-a", "other"] {
            fs::write(folder.path().join(name), "").expect("a file");
        }
        counters::remove_oldest_pages(folder.path(), "audited-1-", 4);
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["audited-1-0", "audited-1-b", "audited-1-c", "audited-12-a", "other"]);
    }
}
