//! [`ProcessIdentity`]: which process a session belongs to, and whether that process still runs.

/// Identifies a process among all that have ever run. Only the id is known on systems other than
/// Linux.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ProcessIdentity {
    pub(super) pid: u32,
    pub(super) boot_id: Option<String>,
    pub(super) pid_namespace: Option<String>,
    /// Its start, in clock ticks after boot. A process id is used by one process at a time.
    pub(super) start: Option<i64>,
}

/// What this process can find out about another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessState {
    Running,
    Gone,
    /// The machine has been restarted since, or it is another machine.
    OtherBoot,
    /// It can't be seen: it is in another container, or the system does not provide the
    /// information.
    Unknown,
}

impl ProcessIdentity {
    pub(super) fn current() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            boot_id: system::boot_id(),
            pid_namespace: system::pid_namespace(),
            start: system::start(pid),
        }
    }

    pub(super) fn state_of(&self, other: &Self) -> ProcessState {
        let (Some(here), Some(there)) = (&self.boot_id, &other.boot_id) else {
            return ProcessState::Unknown;
        };
        if here != there {
            return ProcessState::OtherBoot;
        }
        if self.pid_namespace.is_none() || self.pid_namespace != other.pid_namespace {
            return ProcessState::Unknown;
        }
        if !system::exists(other.pid) {
            return ProcessState::Gone;
        }
        match (system::start(other.pid), other.start) {
            (Some(now), Some(then)) if now == then => ProcessState::Running,
            (Some(_), Some(_)) => ProcessState::Gone,
            // A process with this id exists, but its start can't be seen.
            _ => ProcessState::Unknown,
        }
    }
}

#[cfg(target_os = "linux")]
pub(super) fn host() -> Option<String> {
    system::line("/proc/sys/kernel/hostname")
}

#[cfg(not(target_os = "linux"))]
pub(super) fn host() -> Option<String> {
    None
}

#[cfg(target_os = "linux")]
mod system {
    use std::fs;

    use rustix::io::Errno;
    use rustix::process::{Pid, test_kill_process};

    pub(super) fn line(path: &str) -> Option<String> {
        let text = fs::read_to_string(path).ok()?;
        Some(text.trim_end().to_owned()).filter(|text| !text.is_empty())
    }

    pub(super) fn boot_id() -> Option<String> {
        line("/proc/sys/kernel/random/boot_id")
    }

    pub(super) fn pid_namespace() -> Option<String> {
        let target = fs::read_link("/proc/self/ns/pid").ok()?;
        target.into_os_string().into_string().ok()
    }

    /// Does not use `/proc`, which may hide the processes of other users.
    pub(super) fn exists(pid: u32) -> bool {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
        test_kill_process(pid) != Err(Errno::SRCH)
    }

    /// When the process with this id started.
    pub(super) fn start(pid: u32) -> Option<i64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        parse_start(&stat)
    }

    /// Reads the start from `/proc/<pid>/stat`. A zombie, which keeps its id until its parent waits
    /// for it, gets -1, which no running process has.
    pub(super) fn parse_start(stat: &str) -> Option<i64> {
        // The second field is the name in parentheses, which may contain anything. `rest` starts
        // with the third field.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let (state, threads) = (*fields.first()?, *fields.get(17)?);
        // The state is also `Z` if the main thread has ended and other threads still run.
        if matches!(state, "Z" | "X") && matches!(threads, "0" | "1") {
            return Some(-1);
        }
        fields.get(19)?.parse().ok()
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn boot_id() -> Option<String> {
        None
    }

    pub(super) fn pid_namespace() -> Option<String> {
        None
    }

    pub(super) fn exists(_: u32) -> bool {
        true
    }

    pub(super) fn start(_: u32) -> Option<i64> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn this_process_is_running() {
        let this = ProcessIdentity::current();
        assert!(this.boot_id.is_some() && this.pid_namespace.is_some() && this.start.is_some());
        assert_eq!(this.state_of(&this), ProcessState::Running);
    }

    #[test]
    fn a_child_is_gone_when_it_has_ended_even_before_its_parent_waits() {
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let this = ProcessIdentity::current();
        let process =
            ProcessIdentity { pid: child.id(), start: system::start(child.id()), ..this.clone() };
        assert_eq!(this.state_of(&process), ProcessState::Running);
        let earlier =
            ProcessIdentity { start: process.start.map(|start| start - 1), ..process.clone() };
        assert_eq!(
            this.state_of(&earlier),
            ProcessState::Gone,
            "another process had this id before"
        );
        child.kill().unwrap();
        // The pipe is closed when the child has ended. Its id stays in use until `wait`.
        let mut output = child.stdout.take().unwrap();
        std::io::copy(&mut output, &mut std::io::sink()).unwrap();
        while system::start(child.id()) == process.start {
            std::thread::yield_now();
        }
        assert_eq!(this.state_of(&process), ProcessState::Gone);
        child.wait().unwrap();
        assert_eq!(this.state_of(&process), ProcessState::Gone);
    }

    #[test]
    fn a_process_that_cannot_be_seen_is_not_considered_gone() {
        let this = ProcessIdentity::current();
        let nobody = ProcessIdentity { pid: u32::MAX, ..this.clone() };
        assert_eq!(this.state_of(&nobody), ProcessState::Gone);
        let elsewhere =
            ProcessIdentity { pid_namespace: Some("pid:[1]".to_owned()), ..nobody.clone() };
        assert_eq!(this.state_of(&elsewhere), ProcessState::Unknown);
        let before = ProcessIdentity { boot_id: Some("b".to_owned()), ..this.clone() };
        assert_eq!(this.state_of(&before), ProcessState::OtherBoot);
        let other_system = ProcessIdentity { pid: 1, ..ProcessIdentity::default() };
        assert_eq!(this.state_of(&other_system), ProcessState::Unknown);
        assert_eq!(other_system.state_of(&this), ProcessState::Unknown);
    }

    #[test]
    fn the_name_of_a_process_may_contain_anything() {
        let stat = "7 (a) Z 1) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 4711 1000 1";
        assert_eq!(system::parse_start(stat), Some(4711));
        assert_eq!(system::parse_start(&stat.replace(") S", ") Z")), Some(4711));
        let ended = stat.replace(") S", ") Z").replace(" 20 0 3 ", " 20 0 1 ");
        assert_eq!(system::parse_start(&ended), Some(-1));
        assert_eq!(system::parse_start("7 (a"), None);
        assert_eq!(system::parse_start("7 (a) S 1"), None);
    }
}
