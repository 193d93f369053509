//! How errors are recorded: type, message, sources, backtrace. The caller gets the error unchanged.

#[path = "shapes/record_access.rs"]
mod record_access;

use std::error::Error;
use std::{fmt, io};

use audited::record::ErrorInfo;
use audited::{Outcome, Record, audit_method, testing};
use record_access::{output, single_record};

#[track_caller]
fn error(record: &Record) -> &ErrorInfo {
    assert_eq!((record.outcome, output(record)), (Outcome::Failure, serde_json::Value::Null));
    record.error.as_ref().expect("a recorded error")
}

/// The type, message and sources of the recorded error.
#[track_caller]
fn error_parts(record: &Record) -> (&str, &str, Vec<&str>) {
    let error = error(record);
    let sources = error.sources.iter().map(|source| &**source).collect();
    (&error.type_name, &error.message, sources)
}

#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error("row {row} can't be read")]
    Row { row: u32, source: ParseError },
    #[error("no rows")]
    Empty,
}

#[derive(Debug, thiserror::Error)]
#[error("the amount is no number")]
struct ParseError(#[from] std::num::ParseIntError);

#[audit_method]
fn import(row: u32, text: &str) -> Result<u32, ImportError> {
    if text.is_empty() {
        return Err(ImportError::Empty);
    }
    let read = text.parse().map_err(ParseError);
    read.map_err(|source| ImportError::Row { row, source })
}

#[test]
fn an_error_is_recorded_with_its_chain_of_sources() {
    let record = single_record(|| {
        let error = import(7, "x").unwrap_err();
        assert!(matches!(error, ImportError::Row { row: 7, .. }), "{error:?}");
    });
    let sources = vec!["the amount is no number", "invalid digit found in string"];
    assert_eq!(error_parts(&record), ("errors::ImportError", "row 7 can't be read", sources));
    assert_eq!((record.traceback.as_deref(), &error(&record).location), (None, &None));
    let record = single_record(|| import(7, "").unwrap_err());
    assert_eq!(error_parts(&record), ("errors::ImportError", "no rows", vec![]));
}

#[test]
fn an_error_is_recorded_with_its_variant() {
    /// Not an `Error`.
    #[derive(Debug)]
    #[allow(dead_code)]
    enum OnlyDebug {
        Locked { by: u8 },
    }
    /// Only `Display`: nothing says which variant it is.
    enum OnlyDisplay {
        Locked,
    }
    impl fmt::Display for OnlyDisplay {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let Self::Locked = self;
            f.write_str("locked")
        }
    }
    /// `Display` and `Debug`, but not an `Error`.
    #[derive(Debug)]
    enum Both {
        Locked(#[allow(dead_code)] OnlyDebug),
    }
    impl fmt::Display for Both {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("both")
        }
    }
    #[audit_method]
    fn only_debug() -> Result<(), OnlyDebug> {
        Err(OnlyDebug::Locked { by: 1 })
    }
    #[audit_method]
    fn only_display() -> Result<(), OnlyDisplay> {
        Err(OnlyDisplay::Locked)
    }
    #[audit_method]
    fn both() -> Result<(), Both> {
        Err(Both::Locked(OnlyDebug::Locked { by: 2 }))
    }
    #[audit_method]
    fn generic<E: fmt::Debug + fmt::Display>(error: E) -> Result<(), E> {
        Err(error)
    }
    #[audit_method]
    fn structure() -> Result<(), ParseError> {
        Err(ParseError("".parse::<u32>().unwrap_err()))
    }
    #[audit_method]
    fn pointer() -> Result<(), Box<ImportError>> {
        Err(Box::new(ImportError::Empty))
    }
    #[audit_method]
    fn unnamed() -> Result<(), Box<dyn Error>> {
        Err(Box::new(ImportError::Empty))
    }
    #[audit_method]
    fn system() -> io::Result<()> {
        Err(io::Error::other(ImportError::Empty))
    }
    let variant = |call: fn()| error(&single_record(call)).variant.clone();
    let row = variant(|| assert!(import(7, "x").is_err()));
    assert_eq!(row.as_deref(), Some("Row"));
    assert_eq!(variant(|| assert!(only_debug().is_err())).as_deref(), Some("Locked"));
    assert_eq!(variant(|| assert!(only_display().is_err())), None);
    assert_eq!(variant(|| assert!(both().is_err())).as_deref(), Some("Locked"));
    assert_eq!(variant(|| assert!(generic(ImportError::Empty).is_err())).as_deref(), Some("Empty"));
    assert_eq!(variant(|| assert!(structure().is_err())), None);
    assert_eq!(variant(|| assert!(pointer().is_err())).as_deref(), Some("Empty"));
    assert_eq!(variant(|| assert!(unnamed().is_err())), None);
    assert_eq!(variant(|| assert!(system().is_err())).as_deref(), Some("Other"));
}

#[cfg(feature = "sqlite")]
#[test]
fn failures_are_grouped_by_type_and_variant() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.db");
    let store = audited::SqliteStore::open(&path).unwrap();
    let audit = audited::Audit::builder().store(store).build().unwrap();
    audited::Context::new().recorder(&audit).scope(|| {
        for text in ["", "x", "y", "z", "7"] {
            let _ = import(1, text);
        }
    });
    audit.flush().unwrap();
    let trail = rusqlite::Connection::open(&path).unwrap();
    let mut groups = trail
        .prepare(
            "SELECT error ->> 'type', error ->> 'variant', count(*) FROM audit_log
             WHERE outcome = 'failure' GROUP BY 1, 2 ORDER BY 3",
        )
        .unwrap();
    let groups: Vec<(String, String, u32)> = groups
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let group =
        |variant: &str, calls| ("errors::ImportError".to_owned(), variant.to_owned(), calls);
    assert_eq!(groups, [group("Empty", 1), group("Row", 3)]);
    let error: String =
        trail.query_row("SELECT error FROM audit_log WHERE seq = 1", [], |row| row.get(0)).unwrap();
    assert_eq!(error, r#"{"type":"errors::ImportError","variant":"Empty","message":"no rows"}"#);
}

#[test]
fn boxed_errors_are_recorded_with_message_and_sources() {
    #[audit_method]
    fn plain() -> Result<(), Box<dyn Error>> {
        Err(ParseError("".parse::<u32>().unwrap_err()))?
    }
    #[audit_method]
    fn send() -> Result<(), Box<dyn Error + Send>> {
        Err(Box::new(ImportError::Empty))
    }
    #[audit_method]
    fn sync() -> Result<(), Box<dyn Error + Send + Sync>> {
        Err("plain text")?
    }
    let records = testing::capture(|| {
        assert!(plain().unwrap_err().is::<ParseError>());
        assert!(send().unwrap_err().is::<ImportError>());
        assert_eq!(sync().unwrap_err().to_string(), "plain text");
    });
    let [plain, send, sync] = &records[..] else { panic!("got {records:#?}") };
    let sources = vec!["cannot parse integer from empty string"];
    assert_eq!((error_parts(plain).1, error_parts(plain).2), ("the amount is no number", sources));
    assert_eq!((error_parts(send).1, error_parts(sync).1), ("no rows", "plain text"));
    assert!(error_parts(plain).0.contains("dyn core::error::Error"), "{}", error_parts(plain).0);
}

#[test]
fn types_that_do_not_implement_error_are_recorded() {
    #[derive(Debug, PartialEq)]
    struct OnlyDebug(u32);

    struct OnlyDisplay;

    impl fmt::Display for OnlyDisplay {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("displayed")
        }
    }

    struct Nothing;

    #[audit_method]
    fn text(n: u32) -> Result<u32, String> {
        Err(format!("text {n}"))
    }
    #[audit_method]
    fn borrowed() -> Result<u32, &'static str> {
        Err("borrowed")
    }
    #[audit_method]
    fn debug() -> Result<u32, OnlyDebug> {
        Err(OnlyDebug(3))
    }
    #[audit_method]
    fn display() -> Result<u32, OnlyDisplay> {
        Err(OnlyDisplay)
    }
    #[audit_method]
    fn nothing() -> Result<u32, Nothing> {
        Err(Nothing)
    }
    #[audit_method]
    fn generic<E>(error: E) -> Result<u32, E> {
        Err(error)
    }
    let records = testing::capture(|| {
        assert_eq!(text(1), Err("text 1".to_owned()));
        assert_eq!(borrowed(), Err("borrowed"));
        assert_eq!(debug(), Err(OnlyDebug(3)));
        assert!(display().is_err());
        assert!(nothing().is_err());
        assert_eq!(generic(5), Err(5));
    });
    let parts: Vec<_> =
        records.iter().map(|record| (error_parts(record).0, error_parts(record).1)).collect();
    let module = "errors::types_that_do_not_implement_error_are_recorded";
    assert_eq!(
        parts,
        [
            ("alloc::string::String", "text 1"),
            ("&str", "borrowed"),
            (&*format!("{module}::OnlyDebug"), "OnlyDebug(3)"),
            (&*format!("{module}::OnlyDisplay"), "displayed"),
            (&*format!("{module}::Nothing"), ""),
            // In a generic function only the declared bounds count, and `E` has none.
            ("i32", ""),
        ]
    );
}

#[tokio::test]
async fn errors_of_async_calls_and_returned_futures_are_recorded() {
    #[audit_method]
    async fn later(n: u32) -> io::Result<u32> {
        tokio::task::yield_now().await;
        Err(io::Error::new(io::ErrorKind::InvalidData, import(n, "y").unwrap_err()))
    }
    #[audit_method]
    fn future() -> impl Future<Output = Result<u32, ImportError>> {
        std::future::ready(Err(ImportError::Empty))
    }
    let records = testing::capture_async(async {
        assert_eq!(later(2).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(future().await.is_err());
    })
    .await;
    let sources = vec!["the amount is no number", "invalid digit found in string"];
    assert_eq!(error_parts(&records[1]), ("std::io::error::Error", "row 2 can't be read", sources));
    assert_eq!(error_parts(&records[2]).1, "no rows");
}

#[test]
fn a_cyclic_chain_of_sources_is_limited() {
    #[derive(Debug)]
    struct Cyclic;
    impl fmt::Display for Cyclic {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cyclic")
        }
    }
    impl Error for Cyclic {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&Cyclic)
        }
    }
    #[audit_method]
    fn fails_with_cyclic_sources() -> Result<(), Cyclic> {
        Err(Cyclic)
    }
    let record = single_record(fails_with_cyclic_sources);
    assert_eq!(error_parts(&record).2, vec!["cyclic"; 64]);
}

#[cfg(feature = "anyhow")]
mod with_anyhow {
    use anyhow::Context as _;

    use super::*;

    #[audit_method]
    fn import_all(text: &str) -> anyhow::Result<u32> {
        let sum = import(1, text).context("the import failed")?;
        anyhow::ensure!(sum > 3, "only {sum}");
        Ok(sum)
    }

    #[test]
    fn an_anyhow_error_is_recorded_with_its_chain() {
        let records = testing::capture(|| {
            assert!(import_all("x").unwrap_err().is::<ImportError>());
            assert_eq!(import_all("3").unwrap_err().to_string(), "only 3");
            assert_eq!(import_all("4").unwrap(), 4);
        });
        let sources =
            vec!["row 1 can't be read", "the amount is no number", "invalid digit found in string"];
        assert_eq!(error_parts(&records[1]), ("anyhow::Error", "the import failed", sources));
        assert_eq!(error_parts(&records[3]), ("anyhow::Error", "only 3", vec![]));
        assert_eq!(output(&records[5]), 4);
    }

    /// The environment decides whether an `anyhow::Error` carries a backtrace.
    #[test]
    fn an_anyhow_backtrace_is_recorded_as_the_traceback() {
        let mut carried = None;
        let record = single_record(|| {
            #[audit_method]
            fn traced() -> anyhow::Result<()> {
                anyhow::bail!("traced")
            }
            let backtrace = traced().unwrap_err();
            let backtrace = backtrace.backtrace();
            let is_there = backtrace.status() == std::backtrace::BacktraceStatus::Captured;
            carried = is_there.then(|| backtrace.to_string());
        });
        assert_eq!((error_parts(&record).1, &record.traceback), ("traced", &carried));
    }
}

#[cfg(feature = "eyre")]
mod with_eyre {
    use eyre::WrapErr as _;

    use super::*;

    #[audit_method]
    async fn import_all(text: &str) -> eyre::Result<u32> {
        tokio::task::yield_now().await;
        import(1, text).wrap_err("the import failed")
    }

    #[tokio::test]
    async fn an_eyre_report_is_recorded_with_chain_and_traceback() {
        let mut shown = String::new();
        let records = testing::capture_async(async {
            let report = import_all("x").await.unwrap_err();
            assert!(report.is::<ImportError>());
            shown = format!("{report:?}");
        })
        .await;
        let sources =
            vec!["row 1 can't be read", "the amount is no number", "invalid digit found in string"];
        assert_eq!(error_parts(&records[1]), ("eyre::Report", "the import failed", sources));
        assert_eq!(records[1].traceback.as_deref(), Some(&*shown));
    }
}
