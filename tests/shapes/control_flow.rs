//! Shapes 41 and 42: `?`, `return`, labels, and aliases of `Result`; and the tree of nested calls.

use std::fmt;
use std::io;

use audited::record::CorrelationId;
use audited::{Context, Outcome, audit_method, testing};
use serde_json::{Value, json};

use crate::record_access::{error_message, find_record, input, output, single_record};

/// Defines the same functions twice: here with the attribute, and without it in `bare`.
macro_rules! twins {
    ($($item:item)*) => {
        mod bare {
            #[allow(unused_imports)]
            use super::*;
            $($item)*
        }
        $(#[audit_method] $item)*
    };
}

twins! {
    pub(super) fn parse_sum(left: &str, right: &str) -> Result<u32, std::num::ParseIntError> {
        let left: u32 = left.parse()?;
        if left == 0 {
            return right.parse();
        }
        Ok(left + right.parse::<u32>()?)
    }

    #[allow(clippy::question_mark)]
    pub(super) fn second(words: &[&str]) -> Option<char> {
        let word = words.get(1)?;
        let Some(first) = word.chars().next() else { return None };
        Some(first)
    }

    pub(super) fn find(rows: &[Vec<i32>], wanted: i32) -> (usize, usize) {
        let at = 'rows: {
            for (y, row) in rows.iter().enumerate() {
                for (x, value) in row.iter().enumerate() {
                    if *value == wanted {
                        break 'rows Some((x, y));
                    }
                    if *value < 0 {
                        return (usize::MAX, y);
                    }
                }
            }
            None
        };
        at.unwrap_or_default()
    }

    pub(super) fn counts(limit: u32) -> u32 {
        let mut n = 0;
        'outer: loop {
            loop {
                n += 1;
                if n % 3 == 0 { continue 'outer }
                if n > limit { break 'outer n * 2 }
            }
        }
    }

    #[allow(clippy::needless_return)]
    pub(super) fn ends_with_return(n: u32) -> u32 {
        return n + 1;
    }

    pub(super) fn converts(path: &str) -> Result<u64, Box<dyn std::error::Error>> {
        let n: u64 = path.parse()?;
        if n > 5 {
            Err("above five")?;
        }
        Ok(n)
    }

    pub(super) fn inner_closures_return_early(n: u32) -> Result<u32, String> {
        let half = |n: u32| -> Result<u32, String> {
            if n % 2 == 1 {
                return Err(format!("{n} is odd"));
            }
            Ok(n / 2)
        };
        let quarter = half(half(n)?)?;
        Ok(quarter)
    }
}

#[test]
fn n41_question_mark_on_a_result_behaves_as_in_the_bare_function() {
    for (left, right, outcome) in [
        ("1", "2", Outcome::Success),
        ("x", "2", Outcome::Failure),
        ("1", "y", Outcome::Failure),
        ("0", "7", Outcome::Success),
        ("0", "z", Outcome::Failure),
    ] {
        let expected = bare::parse_sum(left, right);
        let record = single_record(|| assert_eq!(parse_sum(left, right), expected));
        assert_eq!(input(&record), json!({"left": left, "right": right}));
        assert_eq!(record.outcome, outcome);
        match expected {
            Ok(sum) => assert_eq!((output(&record), &record.error), (json!(sum), &None)),
            Err(error) => {
                assert_eq!((error_message(&record), &record.output), (&*error.to_string(), &None));
                let type_name = &record.error.as_ref().unwrap().type_name;
                assert_eq!(type_name, "core::num::error::ParseIntError");
            }
        }
    }
}

#[test]
fn n41_question_mark_on_an_option_behaves_as_in_the_bare_function() {
    for words in [&["a", "bc"][..], &["a"], &["a", ""]] {
        let expected = bare::second(words);
        let record = single_record(|| assert_eq!(second(words), expected));
        assert_eq!((record.outcome, output(&record)), (Outcome::Success, json!(expected)));
        assert_eq!(record.output.unwrap().as_str(), json!(expected).to_string());
    }
}

#[test]
fn n41_labelled_breaks_and_early_returns_behave_as_in_the_bare_function() {
    let rows = vec![vec![1, 2], vec![3, 4], vec![-1, 5]];
    for wanted in [2, 4, 5] {
        let expected = bare::find(&rows, wanted);
        let record = single_record(|| assert_eq!(find(&rows, wanted), expected));
        assert_eq!(output(&record), json!(expected));
    }
    let record = single_record(|| assert_eq!(counts(10), bare::counts(10)));
    assert_eq!(output(&record), json!(bare::counts(10)));
    let record = single_record(|| assert_eq!(ends_with_return(1), bare::ends_with_return(1)));
    assert_eq!(output(&record), json!(2));
}

#[audit_method]
fn unit_early(n: u32) {
    if n > 3 {
        return;
    }
    audited::note("still", "here");
}

#[test]
fn n41_an_early_return_without_a_value_is_a_success() {
    let records = testing::capture(|| {
        unit_early(4);
        unit_early(3);
    });
    let notes: Vec<_> = records.iter().map(|record| record.notes.len()).collect();
    assert_eq!(notes, [0, 1]);
    assert!(records.iter().all(|r| r.outcome == Outcome::Success && r.output.is_none()));
}

#[test]
fn n41_errors_are_converted_once() {
    for path in ["5", "x", "6"] {
        let expected = bare::converts(path).map_err(|error| error.to_string());
        let record = single_record(|| {
            assert_eq!(converts(path).map_err(|error| error.to_string()), expected);
        });
        match expected {
            Ok(n) => assert_eq!(output(&record), json!(n)),
            Err(text) => {
                assert_eq!((record.outcome, error_message(&record)), (Outcome::Failure, &*text))
            }
        }
    }
    for n in [8, 6, 3] {
        let expected = bare::inner_closures_return_early(n);
        let record = single_record(|| assert_eq!(inner_closures_return_early(n), expected));
        assert_eq!(record.outcome == Outcome::Success, expected.is_ok());
    }
}

#[tokio::test]
async fn n41_async_bodies_support_the_same_control_flow() {
    #[audit_method]
    async fn first_line(text: &str, quick: bool) -> Result<String, io::Error> {
        if quick {
            return Ok("quick".to_owned());
        }
        tokio::task::yield_now().await;
        let line = 'line: {
            for line in text.lines() {
                if !line.is_empty() {
                    break 'line Some(line);
                }
            }
            None
        };
        let line = line.ok_or_else(|| io::Error::other("no line"))?;
        Ok(line.to_owned())
    }
    let records = testing::capture_async(async {
        assert_eq!(first_line("\n\na\nb", false).await.unwrap(), "a");
        assert_eq!(first_line("", true).await.unwrap(), "quick");
        assert_eq!(first_line("\n", false).await.unwrap_err().to_string(), "no line");
    })
    .await;
    assert_eq!((output(&records[0]), output(&records[1])), (json!("a"), json!("quick")));
    assert_eq!((records[2].outcome, error_message(&records[2])), (Outcome::Failure, "no line"));
}

// ---- 42 -----------------------------------------------------------------------------------------

#[derive(Debug)]
struct Refused(u32);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused: {}", self.0)
    }
}

impl std::error::Error for Refused {}

type Answer = Result<u32, Refused>;
type Fallible<T, E = Refused> = std::result::Result<T, E>;

mod own {
    /// Has the name of the standard type, but is not a result.
    #[derive(Debug, PartialEq, serde::Serialize)]
    pub(super) enum Result {
        Err(u32),
    }
}

#[audit_method]
fn by_alias(n: u32) -> Answer {
    if n > 3 { Err(Refused(n)) } else { Ok(n) }
}

#[audit_method]
fn by_generic_alias(n: u32) -> Fallible<Option<u32>> {
    if n > 3 { Fallible::Err(Refused(n)) } else { Fallible::Ok(Some(n)) }
}

#[audit_method]
fn by_io_alias(n: u32) -> io::Result<()> {
    if n > 3 { Err(io::Error::new(io::ErrorKind::NotFound, Refused(n))) } else { Ok(()) }
}

#[audit_method]
fn by_impostor(n: u32) -> own::Result {
    own::Result::Err(n)
}

struct Maker;

trait Makes {
    type Made;
    fn make(n: u32) -> Self::Made;
}

impl Makes for Maker {
    type Made = Result<u32, Refused>;

    #[audit_method]
    fn make(n: u32) -> Self::Made {
        by_alias(n)
    }
}

#[test]
fn n42_results_are_recognised_by_type_under_any_name() {
    let records = testing::capture(|| {
        let _ = (by_alias(3), by_alias(4));
        let _ = (by_generic_alias(3), by_generic_alias(4));
        let _ = (by_io_alias(3), by_io_alias(4));
    });
    let ends: Vec<_> = records
        .iter()
        .map(|r| (r.outcome.as_str(), output(r), r.error.as_ref().map(|e| &*e.message)))
        .collect();
    assert_eq!(
        ends,
        [
            ("success", json!(3), None),
            ("failure", Value::Null, Some("refused: 4")),
            ("success", json!(3), None),
            ("failure", Value::Null, Some("refused: 4")),
            ("success", Value::Null, None),
            ("failure", Value::Null, Some("refused: 4")),
        ]
    );
}

#[test]
fn n42_an_associated_type_that_is_a_result_is_recognised() {
    let records = testing::capture(|| {
        assert_eq!(Maker::make(2).unwrap(), 2);
        assert_eq!(Maker::make(9).unwrap_err().0, 9);
    });
    let ends: Vec<_> = records
        .iter()
        .filter(|record| record.action.ends_with("::make"))
        .map(|record| record.outcome)
        .collect();
    assert_eq!(ends, [Outcome::Success, Outcome::Failure]);
}

#[test]
fn n42_a_type_that_is_only_named_result_is_recorded_as_a_value() {
    let record = single_record(|| assert_eq!(by_impostor(7), own::Result::Err(7)));
    assert_eq!((record.outcome, output(&record)), (Outcome::Success, json!({"Err": 7})));
}

// ---- the tree of calls --------------------------------------------------------------------------

#[audit_method]
fn root(n: u32) -> u32 {
    branch(n) + branch(n + 1)
}

#[audit_method]
fn branch(n: u32) -> u32 {
    leaf(n * 2)
}

#[audit_method(skip_output)]
fn leaf(n: u32) -> u32 {
    n
}

#[test]
fn nested_calls_form_a_tree() {
    let records = testing::capture(|| assert_eq!(root(1), 6));
    let root = find_record(&records, "root");
    assert_eq!((root.parent_id, &root.correlation_id), (None, &CorrelationId::Uuid(root.id)));
    assert!(records.iter().all(|record| record.correlation_id == root.correlation_id));
    let names: Vec<_> =
        records.iter().map(|record| record.action.rsplit("::").next().unwrap()).collect();
    assert_eq!(names, ["leaf", "branch", "leaf", "branch", "root"]);
    for (leaf, branch) in [(0, 1), (2, 3)] {
        assert_eq!(records[leaf].parent_id, Some(records[branch].id));
        assert_eq!(records[branch].parent_id, Some(root.id));
        assert_eq!((records[leaf].outcome, &records[leaf].output), (Outcome::Success, &None));
    }
}

#[test]
fn the_correlation_id_of_the_context_applies_to_the_whole_tree() {
    let records = testing::capture(|| {
        Context::new().correlation_id("order 17").scope(|| root(1));
        root(2);
    });
    let (first, second) = records.split_at(5);
    assert!(first.iter().all(|record| record.correlation_id == "order 17".into()));
    assert!(second.iter().all(|record| record.correlation_id == second[4].id.into()));
}
