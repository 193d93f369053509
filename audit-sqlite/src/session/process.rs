//! Which process a session is of, and whether that one still runs.

/// What names a process among all that ever ran. Elsewhere than on Linux, only its number is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) boot_id: Option<String>,
    pub(super) pid_namespace: Option<String>,
    /// In clock ticks after boot: a number is given to one process at a time.
    pub(super) start: Option<i64>,
}

/// What can be told of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Runs,
    Gone,
    /// The machine has been restarted since, or it is another machine.
    OtherBoot,
    /// It is out of sight: in another container, or on a system that tells less.
    Unknown,
}

impl Process {
    pub(super) fn this() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            boot_id: system::boot_id(),
            pid_namespace: system::pid_namespace(),
            start: system::start(pid),
        }
    }

    /// What this process can tell of `other`.
    pub(super) fn life_of(&self, other: &Self) -> Life {
        let (Some(here), Some(there)) = (&self.boot_id, &other.boot_id) else {
            return Life::Unknown;
        };
        if here != there {
            return Life::OtherBoot;
        }
        if self.pid_namespace.is_none() || self.pid_namespace != other.pid_namespace {
            return Life::Unknown;
        }
        if !system::exists(other.pid) {
            return Life::Gone;
        }
        match (system::start(other.pid), other.start) {
            (Some(now), Some(then)) if now == then => Life::Runs,
            (Some(_), Some(_)) => Life::Gone,
            // It exists, and which it is can't be seen.
            _ => Life::Unknown,
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

    /// Not by a look into `/proc`, which may hide what is another user's.
    pub(super) fn exists(pid: u32) -> bool {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
        test_kill_process(pid) != Err(Errno::SRCH)
    }

    /// When the process with this number began.
    pub(super) fn start(pid: u32) -> Option<i64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        parse_start(&stat)
    }

    /// Of `/proc/<pid>/stat`. A process that has ended keeps its number until its parent has seen that; it has begun
    /// at no time.
    pub(super) fn parse_start(stat: &str) -> Option<i64> {
        // The second field is the name in brackets, which may hold anything. The third comes first here.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let (state, threads) = (*fields.first()?, *fields.get(17)?);
        // Of a process whose main thread has ended before the others, the state is `Z` as well.
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
    fn this_process_runs() {
        let this = Process::this();
        assert!(this.boot_id.is_some() && this.pid_namespace.is_some() && this.start.is_some());
        assert_eq!(this.life_of(&this), Life::Runs);
    }

    #[test]
    fn a_child_runs_until_it_has_ended_and_is_gone_before_its_parent_looks() {
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let this = Process::this();
        let process = Process { pid: child.id(), start: system::start(child.id()), ..this.clone() };
        assert_eq!(this.life_of(&process), Life::Runs);
        let earlier = Process { start: process.start.map(|start| start - 1), ..process.clone() };
        assert_eq!(this.life_of(&earlier), Life::Gone, "another one had this number before");
        child.kill().unwrap();
        // Its end of the pipe is closed when it has ended; its number stays until `wait`.
        let mut output = child.stdout.take().unwrap();
        std::io::copy(&mut output, &mut std::io::sink()).unwrap();
        while system::start(child.id()) == process.start {
            std::thread::yield_now();
        }
        assert_eq!(this.life_of(&process), Life::Gone);
        child.wait().unwrap();
        assert_eq!(this.life_of(&process), Life::Gone);
    }

    #[test]
    fn what_is_out_of_sight_is_not_taken_for_gone() {
        let this = Process::this();
        let nobody = Process { pid: u32::MAX, ..this.clone() };
        assert_eq!(this.life_of(&nobody), Life::Gone);
        let elsewhere = Process { pid_namespace: Some("pid:[1]".to_owned()), ..nobody.clone() };
        assert_eq!(this.life_of(&elsewhere), Life::Unknown);
        let before = Process { boot_id: Some("b".to_owned()), ..this.clone() };
        assert_eq!(this.life_of(&before), Life::OtherBoot);
        let other_system = Process { pid: 1, ..Process::default() };
        assert_eq!(this.life_of(&other_system), Life::Unknown);
        assert_eq!(other_system.life_of(&this), Life::Unknown);
    }

    #[test]
    fn the_name_of_a_process_may_hold_anything() {
        let stat = "7 (a) Z 1) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 4711 1000 1";
        assert_eq!(system::parse_start(stat), Some(4711));
        assert_eq!(system::parse_start(&stat.replace(") S", ") Z")), Some(4711));
        let ended = stat.replace(") S", ") Z").replace(" 20 0 3 ", " 20 0 1 ");
        assert_eq!(system::parse_start(&ended), Some(-1));
        assert_eq!(system::parse_start("7 (a"), None);
        assert_eq!(system::parse_start("7 (a) S 1"), None);
    }
}
