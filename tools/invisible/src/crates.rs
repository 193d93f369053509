//! The published crates to annotate. Each of them is published with its tests.

/// A published crate, and how its tests are run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    /// The package's name.
    pub(crate) name: &'static str,
    /// Its exact version, so that every run tests the same code.
    pub(crate) version: &'static str,
    /// Which kind of code it has.
    pub(crate) kind: &'static str,
    /// Arguments for `cargo`, such as features.
    pub(crate) cargo: &'static [&'static str],
    /// Arguments for the test programs.
    pub(crate) tests: &'static [&'static str],
    /// Dev-dependencies that only its benchmarks need. They are not built.
    pub(crate) without: &'static [&'static str],
    /// Whether CI runs it. These are the two quickest.
    pub(crate) quick: bool,
}

/// The table, in the order in which the crates are tested and printed.
pub(crate) fn table() -> Vec<Subject> {
    vec![
        subject("async-channel", "2.5.0", "async").without(&["wasm-bindgen-test"]).quick(),
        subject("async-lock", "3.5.0", "async, pinned").without(&["wasm-bindgen-test"]),
        subject("tower", "0.5.3", "async, generic").cargo(&["--all-features"]),
        subject("futures-util", "0.3.34", "async, generic")
            .cargo(&["--features", "io,sink,channel"]),
        subject("itertools", "0.14.0", "generic").without(&["criterion"]),
        subject("indexmap", "2.14.2", "generic"),
        subject("slab", "0.4.12", "unsafe, no_std").quick(),
        subject("smallvec", "1.16.5", "unsafe, no_std"),
        subject("arrayvec", "0.7.8", "unsafe, no_std").without(&["bencher"]),
        subject("bytes", "1.12.1", "unsafe, vtables").without(&["loom"]),
        subject("hashbrown", "0.17.1", "unsafe, generic")
            .cargo(&["--features", "rayon,serde,raw-entry"])
            .without(&["criterion"]),
        subject("async-trait", "0.1.92", "proc-macro, async"),
        subject("snafu", "0.8.9", "uses a proc-macro"),
        subject("hexyl", "0.17.0", "command line"),
        subject("sd", "1.0.0", "command line"),
        subject("semver", "1.0.28", "unsafe, parser").without(&["criterion"]),
        subject("httparse", "1.10.1", "parser, SIMD").without(&["criterion"]),
        subject("textwrap", "0.16.4", "text"),
        subject("serde_json", "1.0.154", "serde, generic"),
    ]
}

fn subject(name: &'static str, version: &'static str, kind: &'static str) -> Subject {
    Subject { name, version, kind, ..Subject::default() }
}

impl Subject {
    fn cargo(self, cargo: &'static [&'static str]) -> Self {
        Self { cargo, ..self }
    }

    fn without(self, without: &'static [&'static str]) -> Self {
        Self { without, ..self }
    }

    fn quick(self) -> Self {
        Self { quick: true, ..self }
    }
}

/// A crate that is not in the table, given as `name@version`.
pub(crate) fn other(argument: &str) -> Option<Subject> {
    let (name, version) = argument.split_once('@')?;
    // A few short texts are needed until the program ends, so leaking them is fine.
    let keep = |text: &str| -> &'static str { text.to_owned().leak() };
    Some(subject(keep(name), keep(version), "other"))
}
