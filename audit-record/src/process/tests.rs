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
        let kept = tempfile::NamedTempFile::new().expect("a file");
        keep_counters_in(id, kept.path());
        drop(counters);
        // Another recorder of this user may start at any moment, and then moves the values.
        let left = read_counters(id).or_else(|| read_saved_counters(id, kept.path()));
        assert_eq!(left, recovered(7, 2));
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

    /// A mapped file would end the process with `SIGBUS`.
    #[test]
    fn a_file_that_is_cut_overwritten_or_deleted_changes_no_counter() {
        let spoil: [fn(&Path); 5] = [
            |file| fs::File::options().write(true).open(file).unwrap().set_len(0).unwrap(),
            |file| fs::File::options().write(true).open(file).unwrap().set_len(64).unwrap(),
            |file| fs::write(file, [0xff; 4096]).unwrap(),
            |file| fs::remove_file(file).unwrap(),
            |file| fs::set_permissions(file, fs::Permissions::from_mode(0o620)).unwrap(),
        ];
        for spoil in spoil {
            let id = new_id();
            let counters = SessionCounters::shared(id);
            counters.accepted().fetch_add(1, Ordering::Relaxed);
            spoil(&path_of(id));
            assert_eq!(counters.accepted().fetch_add(1, Ordering::Relaxed), 1);
            assert_eq!(read_counters(id), recovered(2, 0));
            drop(counters);
            assert_eq!(read_counters(id), recovered(2, 0));
            remove_counters(id);
            assert_eq!(read_counters(id), None);
        }
    }

    /// Other recorders of this user may run meanwhile, so these tests use a folder of their own.
    fn page(folder: &Path, name: &str, id: Uuid) -> fs::File {
        let mut page = [0; 4096];
        page[..8].copy_from_slice(b"audited1");
        page[8..24].copy_from_slice(id.as_bytes());
        let path = folder.join(name);
        fs::write(&path, page).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        fs::OpenOptions::new().read(true).write(true).open(path).expect("the file is ours")
    }

    /// The memory of a session that has died, without its file.
    fn memory(id: Uuid, accepted: u64, dropped: u64) {
        let counters = SessionCounters::shared(id);
        assert!(counters.is_shared());
        counters.accepted().fetch_add(accepted, Ordering::Relaxed);
        counters.dropped().fetch_add(dropped, Ordering::Relaxed);
        fs::remove_file(path_of(id)).expect("the file is ours");
    }

    fn keep_in(page: &fs::File, path: &Path) {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::FileExt;
        let path = path.as_os_str().as_bytes();
        page.write_all_at(&(path.len() as u16).to_le_bytes(), 512).expect("the file is ours");
        page.write_all_at(path, 514).expect("the file is ours");
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("the folder");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn only_pages_of_dead_processes_are_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let alive = page(folder.path(), "audited-1-alive", new_id());
        alive.try_lock().expect("the lock is free");
        for name in ["audited-1-a", "audited-1-b", "audited-12-other-user", "other"] {
            page(folder.path(), name, new_id());
        }
        // A process creates it right now.
        fs::write(folder.path().join("audited-1-new"), "").expect("a file");
        let old = fs::File::create(folder.path().join("audited-1-old")).expect("a file");
        for file in ["audited-1-new", "audited-1-old"] {
            let private = fs::Permissions::from_mode(0o600);
            fs::set_permissions(folder.path().join(file), private).expect("the file is ours");
        }
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(61);
        old.set_modified(long_ago).expect("the file is ours");
        let others = page(folder.path(), "audited-1-writable-by-others", new_id());
        others.set_permissions(fs::Permissions::from_mode(0o666)).expect("the file is ours");
        symlink("other", folder.path().join("audited-1-link")).expect("a link");
        counters::remove_dead_in(folder.path(), "audited-1-");
        let left = [
            "audited-1-alive",
            "audited-1-link",
            "audited-1-new",
            "audited-1-writable-by-others",
            "audited-12-other-user",
            "other",
        ];
        assert_eq!(names(folder.path()), left);
        drop(alive);
        counters::remove_dead_in(folder.path(), "audited-1-");
        assert!(!names(folder.path()).contains(&"audited-1-alive".to_owned()));
    }

    #[test]
    fn the_values_of_a_removed_page_are_kept_in_the_file_of_the_store() {
        let folder = tempfile::tempdir().expect("a folder");
        let id = new_id();
        let kept = tempfile::NamedTempFile::new().expect("a file");
        memory(id, 7, 2);
        keep_in(&page(folder.path(), "p", id), kept.path());
        // A store recovers the session right now, and reads the memory.
        let recovering = fs::File::open(kept.path()).expect("the file");
        recovering.try_lock().expect("the lock is free");
        counters::remove_dead_in(folder.path(), "p");
        assert_eq!(
            (names(folder.path()), read_saved_counters(id, kept.path())),
            (vec!["p".into()], None)
        );
        assert_eq!(read_counters(id), recovered(7, 2));

        drop(recovering);
        counters::remove_dead_in(folder.path(), "p");
        assert_eq!(names(folder.path()), <[String; 0]>::default());
        assert_eq!(read_saved_counters(id, kept.path()), recovered(7, 2));
        assert_eq!(read_counters(id), None, "the memory is removed too");
        assert_eq!(read_saved_counters(new_id(), kept.path()), None, "those of another session");
    }

    #[test]
    fn a_page_is_removed_if_the_file_of_the_store_is_gone_and_kept_if_it_cannot_be_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let stores = tempfile::tempdir().expect("a folder");
        let (gone, link) = (new_id(), new_id());
        memory(gone, 7, 2);
        memory(link, 7, 2);
        keep_in(&page(folder.path(), "p-gone", gone), &stores.path().join("gone"));
        symlink("elsewhere", stores.path().join("link")).expect("a link");
        keep_in(&page(folder.path(), "p-link", link), &stores.path().join("link"));
        counters::remove_dead_in(folder.path(), "p-");
        assert_eq!(names(folder.path()), ["p-link"]);
        assert_eq!(names(stores.path()), ["link"]);
        assert_eq!((read_counters(gone), read_counters(link)), (None, recovered(7, 2)));
        remove_counters(link);
    }

    #[test]
    fn the_memory_of_a_page_that_was_overwritten_is_found_by_the_name_of_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let id = new_id();
        memory(id, 7, 2);
        std::io::Write::write_all(
            &mut page(folder.path(), &format!("p-{}", id.simple()), id),
            &[0xff; 4096],
        )
        .expect("the file is ours");
        counters::remove_dead_in(folder.path(), "p-");
        assert_eq!((names(folder.path()).len(), read_counters(id)), (0, None));
    }

    #[test]
    fn the_file_of_the_store_is_noted_in_the_page() {
        let id = new_id();
        let counters = SessionCounters::shared(id);
        counters.accepted().fetch_add(7, Ordering::Relaxed);
        let kept = tempfile::NamedTempFile::new().expect("a file");
        keep_counters_in(id, kept.path());
        keep_counters_in(new_id(), kept.path());
        // Too long: the note stays as it is.
        keep_counters_in(id, Path::new(&"x".repeat(4096)));
        assert_eq!(read_counters(id), recovered(7, 0));
        let folder = tempfile::tempdir().expect("a folder");
        fs::copy(path_of(id), folder.path().join("p")).expect("a copy");
        fs::remove_file(path_of(id)).expect("the file is ours");
        drop(counters);
        counters::remove_dead_in(folder.path(), "p");
        assert_eq!(read_saved_counters(id, kept.path()), recovered(7, 0));
        assert_eq!(read_counters(id), None);
    }
}
