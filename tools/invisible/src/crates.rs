//! The published crates under proof. Every one packages its own tests.

/// One published crate, and how its tests are run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    /// The package's name.
    pub(crate) name: &'static str,
    /// Its exact version, so that every run proves the same.
    pub(crate) version: &'static str,
    /// What makes it hard, in a word or two.
    pub(crate) kind: &'static str,
    /// Features and other arguments for `cargo`.
    pub(crate) cargo: &'static [&'static str],
    /// Arguments for the test programs.
    pub(crate) tests: &'static [&'static str],
    /// Dev-dependencies that only its benchmarks need; they are not built.
    pub(crate) without: &'static [&'static str],
    /// True for the two quickest, which CI runs.
    pub(crate) quick: bool,
}

/// The table, in the order in which it is worked through and printed.
pub(crate) fn table() -> Vec<Subject> {
    vec![
        Subject {
            name: "async-channel",
            version: "2.5.0",
            kind: "async",
            without: &["wasm-bindgen-test"],
            quick: true,
            ..Subject::default()
        },
        Subject {
            name: "async-lock",
            version: "3.5.0",
            kind: "async, pinned",
            without: &["wasm-bindgen-test"],
            ..Subject::default()
        },
        Subject {
            name: "tower",
            version: "0.5.3",
            kind: "async, generic",
            cargo: &["--all-features"],
            ..Subject::default()
        },
        Subject {
            name: "futures-util",
            version: "0.3.34",
            kind: "async, generic",
            cargo: &["--features", "io,sink,channel"],
            ..Subject::default()
        },
        Subject {
            name: "itertools",
            version: "0.14.0",
            kind: "generic",
            without: &["criterion"],
            ..Subject::default()
        },
        Subject { name: "indexmap", version: "2.14.2", kind: "generic", ..Subject::default() },
        Subject {
            name: "slab",
            version: "0.4.12",
            kind: "unsafe, no_std",
            quick: true,
            ..Subject::default()
        },
        Subject {
            name: "smallvec",
            version: "1.16.5",
            kind: "unsafe, no_std",
            ..Subject::default()
        },
        Subject {
            name: "arrayvec",
            version: "0.7.8",
            kind: "unsafe, no_std",
            without: &["bencher"],
            ..Subject::default()
        },
        Subject {
            name: "bytes",
            version: "1.12.1",
            kind: "unsafe, vtables",
            without: &["loom"],
            ..Subject::default()
        },
        Subject {
            name: "hashbrown",
            version: "0.17.1",
            kind: "unsafe, generic",
            cargo: &["--features", "rayon,serde,raw-entry"],
            without: &["criterion"],
            ..Subject::default()
        },
        Subject {
            name: "async-trait",
            version: "0.1.92",
            kind: "proc-macro, async",
            ..Subject::default()
        },
        Subject {
            name: "snafu",
            version: "0.8.9",
            kind: "uses a proc-macro",
            ..Subject::default()
        },
        Subject { name: "hexyl", version: "0.17.0", kind: "command line", ..Subject::default() },
        Subject { name: "sd", version: "1.0.0", kind: "command line", ..Subject::default() },
        Subject {
            name: "semver",
            version: "1.0.28",
            kind: "unsafe, parser",
            without: &["criterion"],
            ..Subject::default()
        },
        Subject {
            name: "httparse",
            version: "1.10.1",
            kind: "parser, SIMD",
            without: &["criterion"],
            ..Subject::default()
        },
        Subject { name: "textwrap", version: "0.16.4", kind: "text", ..Subject::default() },
        Subject {
            name: "serde_json",
            version: "1.0.154",
            kind: "serde, generic",
            ..Subject::default()
        },
    ]
}

/// A crate that is not in the table, asked for as `name@version`.
pub(crate) fn other(asked: &str) -> Option<Subject> {
    let (name, version) = asked.split_once('@')?;
    // Leaked on purpose: the few words live as long as the program.
    let keep = |text: &str| -> &'static str { text.to_owned().leak() };
    Some(Subject {
        name: keep(name),
        version: keep(version),
        kind: "asked for",
        ..Subject::default()
    })
}
