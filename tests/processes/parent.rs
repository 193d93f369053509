//! The parent's side: starts a child, hears what it says, and ends it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

/// A child at work. What it says is heard all the time, so that it never waits for its parent.
pub(crate) struct Child {
    process: std::process::Child,
    heard: Receiver<String>,
    listener: JoinHandle<()>,
    said: Vec<String>,
}

/// How a child ended.
pub(crate) struct Ended {
    /// The lines it has written to its standard output.
    pub(crate) said: Vec<String>,
    /// What it has written to its standard error.
    pub(crate) complained: String,
    pub(crate) status: ExitStatus,
    pub(crate) pid: u32,
}

/// A child in `role`, whose trail is at `path`; `settings` are for the role.
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
    let (say, heard) = mpsc::channel();
    let listener = thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let _ = say.send(line);
        }
    });
    Child { process, heard, listener, said: Vec::new() }
}

/// Runs a child to its end.
pub(crate) fn run(role: &str, path: &Path, settings: &[(&str, String)]) -> Ended {
    start(role, path, settings).wait()
}

impl Child {
    /// Waits until it says `line`.
    ///
    /// # Panics
    ///
    /// If it ends before.
    pub(crate) fn hears(&mut self, line: &str) {
        while let Ok(said) = self.heard.recv() {
            let is_it = said == line;
            self.said.push(said);
            if is_it {
                return;
            }
        }
        panic!("the child ended before it said `{line}`; it said {:?}", self.said);
    }

    pub(crate) fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.process.id()).expect("a process id");
        // SAFETY: a system call without pointers; the child has not been waited for, so the id is still its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    /// Lets it go on that waits in `child::wait_for_parent`.
    pub(crate) fn go_on(&mut self) {
        drop(self.process.stdin.take());
    }

    pub(crate) fn kill(mut self) -> Ended {
        self.process.kill().expect("it can be killed");
        self.wait()
    }

    pub(crate) fn wait(self) -> Ended {
        let Self { process, heard, listener, mut said } = self;
        let pid = process.id();
        let output = process.wait_with_output().expect("it ends");
        listener.join().expect("the listener ends with the child");
        said.extend(heard.try_iter());
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        Ended { said, complained, status: output.status, pid }
    }
}

impl Ended {
    /// Asserts that it ended by itself, and in order.
    #[track_caller]
    pub(crate) fn in_order(self) -> Self {
        assert!(self.status.success(), "{}: {}", self.status, self.complained);
        self
    }

    /// Asserts that it was killed.
    #[track_caller]
    pub(crate) fn killed(self) -> Self {
        let signal = self.status.signal();
        assert_eq!(signal, Some(libc::SIGKILL), "{}: {}", self.status, self.complained);
        self
    }

    /// What follows `word` in the lines that begin with it.
    pub(crate) fn after<'e>(&'e self, word: &'e str) -> impl Iterator<Item = &'e str> {
        self.said.iter().filter_map(move |line| line.strip_prefix(word)?.strip_prefix(' '))
    }
}
