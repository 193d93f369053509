use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::*;

fn new_id() -> Uuid {
    crate::id::record_id(chrono::Utc::now().timestamp_micros())
}

#[test]
fn private_counters_begin_at_zero_and_leave_nothing() {
    let counts = Counts::private();
    assert!(!counts.is_shared());
    assert_eq!(counts.accepted().fetch_add(2, Ordering::Relaxed), 0);
    assert_eq!(counts.dropped().load(Ordering::Relaxed), 0);
    assert_eq!(counts.accepted().load(Ordering::Relaxed), 2);
}

#[test]
fn a_session_that_never_was_has_left_nothing() {
    assert_eq!(left_behind(new_id()), None);
    forget(new_id());
}

#[test]
fn the_counters_do_not_share_a_cache_line() {
    let counts = Counts::private();
    let accepted = std::ptr::from_ref(counts.accepted()).addr();
    assert_eq!(std::ptr::from_ref(counts.dropped()).addr() - accepted, 128);
}

#[test]
fn this_process_is_at_home() {
    assert_eq!(forks(), forks());
    assert!(Home::here().is_here());
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

    /// What the counters `accepted` and `dropped` have become, as the next start reads them.
    fn counted(accepted: u64, dropped: u64) -> Option<Counted> {
        Some(Counted { accepted, dropped })
    }

    #[test]
    fn what_was_counted_is_left_behind_until_it_is_forgotten() {
        let id = new_id();
        let counts = Counts::shared(id);
        assert!(counts.is_shared(), "this test needs a `/dev/shm` in memory");
        assert_eq!(left_behind(id), counted(0, 0));
        counts.accepted().fetch_add(7, Ordering::Relaxed);
        counts.dropped().fetch_add(2, Ordering::Relaxed);
        assert_eq!(left_behind(id), counted(7, 2));
        drop(counts);
        assert_eq!(left_behind(id), counted(7, 2));
        forget(id);
        assert_eq!(left_behind(id), None);
    }

    #[test]
    fn a_session_that_ended_in_order_leaves_nothing_and_counts_on() {
        let id = new_id();
        let counts = Counts::shared(id);
        counts.remove();
        assert!(!path_of(id).exists());
        assert_eq!(left_behind(id), None);
        assert_eq!(counts.accepted().fetch_add(1, Ordering::Relaxed), 0);
        assert_eq!(counts.accepted().load(Ordering::Relaxed), 1);
    }

    #[test]
    fn only_the_owner_may_read_the_page() {
        let id = new_id();
        let counts = Counts::shared(id);
        let mode = fs::metadata(path_of(id)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        counts.remove();
    }

    #[test]
    fn a_page_that_others_may_change_is_not_believed() {
        let id = new_id();
        let counts = Counts::shared(id);
        fs::set_permissions(path_of(id), fs::Permissions::from_mode(0o620)).expect("it is ours");
        assert_eq!(left_behind(id), None);
        counts.remove();
    }

    #[test]
    fn a_file_that_is_there_already_is_not_taken_over() {
        let id = new_id();
        fs::write(path_of(id), "somebody's").expect("a file");
        let counts = Counts::shared(id);
        assert!(!counts.is_shared());
        assert_eq!(left_behind(id), None);
        assert_eq!(fs::read(path_of(id)).expect("still there"), b"somebody's");
        forget(id);
    }

    #[test]
    fn a_symlink_is_not_followed() {
        let (id, other) = (new_id(), new_id());
        let counts = Counts::shared(other);
        symlink(path_of(other), path_of(id)).expect("a link");
        assert_eq!(left_behind(id), None);
        assert!(!Counts::shared(id).is_shared());
        assert_eq!(left_behind(other), counted(0, 0));
        forget(id);
        counts.remove();
    }

    #[test]
    fn the_page_of_another_session_is_not_believed() {
        let (id, other) = (new_id(), new_id());
        let counts = Counts::shared(other);
        fs::copy(path_of(other), path_of(id)).expect("a copy");
        assert_eq!(left_behind(id), None);
        forget(id);
        counts.remove();
    }

    #[test]
    fn a_page_that_was_cut_is_not_believed() {
        let id = new_id();
        drop(Counts::shared(id));
        let file = fs::OpenOptions::new().write(true).open(path_of(id)).expect("it is ours");
        file.set_len(64).expect("it is ours");
        assert_eq!(left_behind(id), None);
        forget(id);
    }

    #[test]
    fn the_oldest_pages_give_way_but_those_of_the_living() {
        let folder = tempfile::tempdir().expect("a folder");
        let alive = fs::File::create(folder.path().join("audited-1-0")).expect("a file");
        alive.try_lock().expect("nobody else has it");
        for name in ["audited-1-c", "audited-1-a", "audited-1-b", "audited-12-a", "other"] {
            fs::write(folder.path().join(name), "").expect("a file");
        }
        counts::make_room(folder.path(), "audited-1-", 4);
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["audited-1-0", "audited-1-b", "audited-1-c", "audited-12-a", "other"]);
    }
}
