//! The parent's side: starts a child process, reads its output, and ends it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

/// A running child. A thread reads its output all the time, so the child never blocks on a full
/// pipe.
pub(crate) struct Child {
    process: std::process::Child,
    output: Receiver<String>,
    reader: JoinHandle<()>,
    lines: Vec<String>,
}

/// How a child ended.
pub(crate) struct Ended {
    /// The lines that it wrote to its standard output.
    pub(crate) lines: Vec<String>,
    pub(crate) stderr: String,
    pub(crate) status: ExitStatus,
    pub(crate) pid: u32,
}

/// Starts a child in `role`, whose trail is at `path`. The role reads `settings` from its
/// environment.
pub(crate) fn start(role: &str, path: &Path, settings: &[(&str, String)]) -> Child {
    let program = match std::env::var_os("AUDITED_CHILD") {
        Some(program) => program.into(),
        None => std::env::current_exe().expect("this program has a path"),
    };
    let mut process = Command::new(program)
        .env("AUDITED_TEST_ROLE", role)
        .env("AUDITED_TEST_TRAIL", path)
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let out = BufReader::new(process.stdout.take().expect("it is piped"));
    let (send, output) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    Child { process, output, reader, lines: Vec::new() }
}

/// Runs a child until it ends.
pub(crate) fn run(role: &str, path: &Path, settings: &[(&str, String)]) -> Ended {
    start(role, path, settings).wait()
}

/// Runs a child in `role` once at each durability, each time with a new trail. Passes how it ended,
/// and the path of its trail, to `check`.
pub(crate) fn run_at_each_durability(role: &str, check: impl Fn(Ended, &Path)) {
    for durability in crate::DURABILITIES {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.db");
        let settings = [("AUDITED_TEST_DURABILITY", durability.to_owned())];
        check(run(role, &path, &settings), &path);
    }
}

impl Child {
    /// Waits until the child prints `line`.
    ///
    /// # Panics
    ///
    /// Panics if the child ends before.
    pub(crate) fn wait_for_line(&mut self, line: &str) {
        while let Ok(printed) = self.output.recv() {
            let found = printed == line;
            self.lines.push(printed);
            if found {
                return;
            }
        }
        panic!("the child ended before it printed `{line}`; it printed {:?}", self.lines);
    }

    pub(crate) fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.process.id()).expect("a process id");
        // SAFETY: a system call without pointers. The child has not been reaped, so the id is
        // still its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// Resumes a child that waits in `child::wait_for_parent`.
    pub(crate) fn resume(&mut self) {
        drop(self.process.stdin.take());
    }

    pub(crate) fn kill(mut self) -> Ended {
        self.process.kill().expect("it can be killed");
        self.wait()
    }

    pub(crate) fn wait(self) -> Ended {
        let Self { process, output, reader, mut lines } = self;
        let pid = process.id();
        let ended = process.wait_with_output().expect("it ends");
        reader.join().expect("the reader ends with the child");
        lines.extend(output.try_iter());
        let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
        Ended { lines, stderr, status: ended.status, pid }
    }
}

impl Ended {
    /// Asserts that the child exited successfully.
    #[track_caller]
    pub(crate) fn assert_success(self) -> Self {
        assert!(self.status.success(), "{}: {}", self.status, self.stderr);
        self
    }

    /// Asserts that the child was killed.
    #[track_caller]
    pub(crate) fn assert_killed(self) -> Self {
        let signal = self.status.signal();
        assert_eq!(signal, Some(libc::SIGKILL), "{}: {}", self.status, self.stderr);
        self
    }

    /// The text after `word` in the lines that start with it.
    pub(crate) fn texts_after<'e>(&'e self, word: &'e str) -> impl Iterator<Item = &'e str> {
        self.lines.iter().filter_map(move |line| line.strip_prefix(word)?.strip_prefix(' '))
    }
}
