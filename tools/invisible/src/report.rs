//! Formats the results as text and as JSON.

use std::fmt::Write;

use serde_json::json;

use crate::crates::Subject;
use crate::trial::Outcome;

/// Returns the table of crates, one per line.
pub(crate) fn list(subjects: &[Subject]) -> String {
    let row = |subject: &Subject| {
        vec![
            subject.name.to_owned(),
            subject.version.to_owned(),
            subject.kind.to_owned(),
            subject.cargo.join(" "),
            if subject.quick { "quick" } else { "" }.to_owned(),
        ]
    };
    columns(
        &["crate", "version", "kind", "cargo arguments", ""],
        subjects.iter().map(row).collect(),
    )
}

/// Returns what no longer works, a table with all crates, and a last line with the totals.
pub(crate) fn text(outcomes: &[Outcome], not_tested: &[String]) -> String {
    let header = [
        "crate",
        "version",
        "kind",
        "functions",
        "excluded",
        "annotated",
        "in macros",
        "no longer compile",
        "tests before",
        "after",
        "warnings before",
        "after",
        "records",
        "verdict",
    ];
    let mut text = String::new();
    for outcome in outcomes {
        describe_failures(outcome, &mut text);
    }
    for failure in not_tested {
        let _ = writeln!(text, "not tested: {failure}\n");
    }
    text.push_str(&columns(&header, outcomes.iter().map(row).collect()));
    let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(count).sum::<usize>();
    let records: i64 = outcomes
        .iter()
        .filter_map(|outcome| outcome.recorded.as_ref())
        .map(|(s, _)| s.records)
        .sum();
    let recorded = if records > 0 { format!(", {records} records stored") } else { String::new() };
    let _ = writeln!(
        text,
        "\n{} crate(s): {} functions annotated, {} no longer compile, {} of {} tests still pass{recorded}",
        outcomes.len(),
        sum(Outcome::annotated),
        sum(|outcome| outcome.broken_functions.len()),
        sum(|outcome| outcome.passed.1),
        sum(|outcome| outcome.passed.0),
    );
    text
}

fn row(outcome: &Outcome) -> Vec<String> {
    let recorded = outcome.recorded.as_ref().map(|(stored, _)| stored.records.to_string());
    let mut row = vec![outcome.subject.name.to_owned(), outcome.subject.version.to_owned()];
    row.push(outcome.subject.kind.to_owned());
    let counts = [
        outcome.functions,
        outcome.excluded,
        outcome.annotated(),
        outcome.in_macros,
        outcome.broken_functions.len(),
        outcome.passed.0,
        outcome.passed.1,
        outcome.warnings.0,
        outcome.warnings.1,
    ];
    row.extend(counts.iter().map(usize::to_string));
    row.push(recorded.unwrap_or_else(|| "-".to_owned()));
    row.push(if outcome.is_invisible() { "invisible" } else { "BROKEN" }.to_owned());
    row
}

fn describe_failures(outcome: &Outcome, text: &mut String) {
    let name = outcome.subject.name;
    let mut lines = Vec::new();
    if !outcome.broken_functions.is_empty() {
        let share = 100.0 * outcome.broken_functions.len() as f64 / outcome.annotated() as f64;
        lines.push(format!(
            "{name}: {} function(s) no longer compile ({share:.0} %)",
            outcome.broken_functions.len()
        ));
        lines.extend(
            outcome
                .broken_functions
                .iter()
                .map(|broken| format!("  {}: {}", broken.function, broken.error)),
        );
    }
    if let Some(error) = &outcome.error_without_cause {
        lines.push(format!("{name}: compiles only without any attribute; with one: {error}"));
    }
    if outcome.unparsed > 0 {
        lines.push(format!(
            "{name}: {} file(s) are not complete Rust and were not changed",
            outcome.unparsed
        ));
    }
    let recording = outcome
        .recorded
        .iter()
        .flat_map(|(_, broken)| broken)
        .map(|test| (test, " while recording"));
    for (test, how) in outcome.broken.iter().map(|test| (test, "")).chain(recording) {
        lines.push(format!("{name}: no longer passes{how}: {test}"));
    }
    if !lines.is_empty() {
        let _ = writeln!(text, "{}\n", lines.join("\n"));
    }
}

/// Aligns the rows under the header, numbers to the right.
fn columns(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let header: Vec<String> = header.iter().map(|title| (*title).to_owned()).collect();
    let width =
        |column: usize| rows.iter().chain([&header]).map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> =
        (0..header.len()).map(|column| width(column).unwrap_or_default()).collect();
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let right: Vec<bool> =
        (0..header.len()).map(|column| rows.iter().any(|row| number(&row[column]))).collect();
    let mut text = String::new();
    for row in std::iter::once(&header).chain(&rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ = if right[column] {
                write!(line, "{cell:>width$}  ")
            } else {
                write!(line, "{cell:<width$}  ")
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Returns the same results as a JSON document.
pub(crate) fn json(outcomes: &[Outcome], not_tested: &[String]) -> String {
    let crates: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            let broken_functions = outcome
                .broken_functions
                .iter()
                .map(|broken| json!({"function": broken.function, "error": broken.error}));
            json!({
                "crate": outcome.subject.name,
                "version": outcome.subject.version,
                "kind": outcome.subject.kind,
                "functions": outcome.functions,
                "excluded": outcome.excluded,
                "annotated": outcome.annotated(),
                "in_macros": outcome.in_macros,
                "no_longer_compile": broken_functions.collect::<Vec<_>>(),
                "compiles_only_without": outcome.error_without_cause,
                "tests_before": outcome.passed.0,
                "tests_after": outcome.passed.1,
                "broken_tests": outcome.broken,
                "warnings_before": outcome.warnings.0,
                "warnings_after": outcome.warnings.1,
                "records": outcome.recorded.as_ref().map(|(stored, _)| stored.records),
                "recording_programs": outcome.recorded.as_ref().map(|(stored, _)| stored.programs),
                "broken_when_recording": outcome.recorded.as_ref().map(|(_, broken)| broken),
                "invisible": outcome.is_invisible(),
            })
        })
        .collect();
    let document = json!({"crates": crates, "not_tested": not_tested});
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::BrokenFunction;

    #[test]
    fn failures_come_first_and_totals_last() {
        let subject = Subject { name: "a", version: "1.0.0", kind: "text", ..Subject::default() };
        let broken =
            BrokenFunction { function: "src/lib.rs:3 f".to_owned(), error: "E0308: no".to_owned() };
        let outcome = Outcome {
            subject,
            functions: 5,
            excluded: 1,
            broken_functions: vec![broken],
            passed: (12, 11),
            broken: vec!["unittests src/lib.rs: t".to_owned()],
            ..Outcome::default()
        };
        let text = text(&[outcome], &["b 2.0.0: gone".to_owned()]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..6],
            [
                "a: 1 function(s) no longer compile (25 %)",
                "  src/lib.rs:3 f: E0308: no",
                "a: no longer passes: unittests src/lib.rs: t",
                "",
                "not tested: b 2.0.0: gone",
                "",
            ]
        );
        let cells: Vec<&str> = lines[7].split_whitespace().collect();
        let expected =
            ["a", "1.0.0", "text", "5", "1", "4", "0", "1", "12", "11", "0", "0", "-", "BROKEN"];
        assert_eq!(cells, expected);
        let totals =
            "1 crate(s): 4 functions annotated, 1 no longer compile, 11 of 12 tests still pass";
        assert_eq!(lines[9], totals);
    }
}
