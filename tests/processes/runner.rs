//! Runs the tests one after the other, as the usual harness does: it can't be used, for a child needs a `main` of its
//! own, and as its only thread.

use std::panic::catch_unwind;
use std::process::ExitCode;

/// A test: its name, and what it does.
pub(crate) type Test = (&'static str, fn());

/// The functions named, as tests.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) const TESTS: &[$crate::runner::Test] = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use tests;

/// Runs those whose name contains one of the words on the command line; all of them if there is none.
pub(crate) fn run(tests: &[Test]) -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let words: Vec<_> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(*word));
    let wanted: Vec<_> = tests.iter().filter(|(name, _)| is_wanted(name)).collect();
    println!("\nrunning {} tests", wanted.len());
    let mut failed = 0;
    for (name, test) in &wanted {
        let is_ok = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if is_ok { "ok" } else { "FAILED" });
        failed += usize::from(!is_ok);
    }
    println!("\ntest result: {} passed; {failed} failed", wanted.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
