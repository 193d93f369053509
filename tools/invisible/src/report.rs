//! Prints what was found out.

use std::fmt::Write;

use serde_json::json;

use crate::crates::Subject;
use crate::trial::Outcome;

/// The table of crates, one a line.
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

/// What broke, the outcome of every crate, and the sum in the last line.
pub(crate) fn text(outcomes: &[Outcome], failed: &[String]) -> String {
    let heads = [
        "crate",
        "version",
        "kind",
        "functions",
        "const",
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
        breaks(outcome, &mut text);
    }
    for failure in failed {
        let _ = writeln!(text, "could not be tried: {failure}\n");
    }
    text.push_str(&columns(&heads, outcomes.iter().map(row).collect()));
    let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(count).sum::<usize>();
    let records: i64 = outcomes
        .iter()
        .filter_map(|outcome| outcome.recorded.as_ref())
        .map(|(s, _)| s.records)
        .sum();
    let recorded = if records > 0 { format!(", {records} records stored") } else { String::new() };
    let _ = writeln!(
        text,
        "\n{} crates: {} functions annotated, {} no longer compile, {} of {} tests still pass{recorded}",
        outcomes.len(),
        sum(Outcome::annotated),
        sum(|outcome| outcome.faults.len()),
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
        outcome.bare,
        outcome.annotated(),
        outcome.in_macros,
        outcome.faults.len(),
        outcome.passed.0,
        outcome.passed.1,
        outcome.warnings.0,
        outcome.warnings.1,
    ];
    row.extend(counts.iter().map(usize::to_string));
    row.push(recorded.unwrap_or_else(|| "-".to_owned()));
    row.push(if outcome.holds() { "invisible" } else { "BROKEN" }.to_owned());
    row
}

fn breaks(outcome: &Outcome, text: &mut String) {
    let name = outcome.subject.name;
    let mut lines = Vec::new();
    if !outcome.faults.is_empty() {
        let share = 100.0 * outcome.faults.len() as f64 / outcome.annotated() as f64;
        lines.push(format!(
            "{name}: {} functions no longer compile ({share:.0} %)",
            outcome.faults.len()
        ));
        lines.extend(
            outcome.faults.iter().map(|fault| format!("  {}: {}", fault.function, fault.error)),
        );
    }
    if let Some(error) = &outcome.apart {
        lines.push(format!("{name}: compiles only with no attribute at all, or else: {error}"));
    }
    if outcome.unparsed > 0 {
        lines.push(format!(
            "{name}: {} files are no Rust by themselves and stay as they are",
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

/// Lines the rows up under their heads, numbers to the right.
fn columns(heads: &[&str], rows: Vec<Vec<String>>) -> String {
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let width =
        |column: usize| rows.iter().chain([&heads]).map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> =
        (0..heads.len()).map(|column| width(column).unwrap_or_default()).collect();
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let right: Vec<bool> =
        (0..heads.len()).map(|column| rows.iter().any(|row| number(&row[column]))).collect();
    let mut text = String::new();
    for row in std::iter::once(&heads).chain(&rows) {
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

/// The same as a JSON document, for other programs.
pub(crate) fn json(outcomes: &[Outcome], failed: &[String]) -> String {
    let crates: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            let faults = outcome
                .faults
                .iter()
                .map(|fault| json!({"function": fault.function, "error": fault.error}));
            json!({
                "crate": outcome.subject.name,
                "version": outcome.subject.version,
                "kind": outcome.subject.kind,
                "functions": outcome.functions,
                "bare": outcome.bare,
                "annotated": outcome.annotated(),
                "in_macros": outcome.in_macros,
                "no_longer_compile": faults.collect::<Vec<_>>(),
                "compiles_only_without": outcome.apart,
                "tests_before": outcome.passed.0,
                "tests_after": outcome.passed.1,
                "broken_tests": outcome.broken,
                "warnings_before": outcome.warnings.0,
                "warnings_after": outcome.warnings.1,
                "records": outcome.recorded.as_ref().map(|(stored, _)| stored.records),
                "recording_programs": outcome.recorded.as_ref().map(|(stored, _)| stored.programs),
                "broken_when_recording": outcome.recorded.as_ref().map(|(_, broken)| broken),
                "invisible": outcome.holds(),
            })
        })
        .collect();
    let document = json!({"crates": crates, "not_tried": failed});
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Fault;

    #[test]
    fn breaks_come_first_and_the_sum_last() {
        let subject = Subject { name: "a", version: "1.0.0", kind: "text", ..Subject::default() };
        let fault = Fault { function: "src/lib.rs:3 f".to_owned(), error: "E0308: no".to_owned() };
        let outcome = Outcome {
            subject,
            functions: 5,
            bare: 1,
            faults: vec![fault],
            passed: (12, 11),
            broken: vec!["unittests src/lib.rs: t".to_owned()],
            ..Outcome::default()
        };
        let text = text(&[outcome], &["b 2.0.0: gone".to_owned()]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..6],
            [
                "a: 1 functions no longer compile (25 %)",
                "  src/lib.rs:3 f: E0308: no",
                "a: no longer passes: unittests src/lib.rs: t",
                "",
                "could not be tried: b 2.0.0: gone",
                "",
            ]
        );
        let cells: Vec<&str> = lines[7].split_whitespace().collect();
        let expected =
            ["a", "1.0.0", "text", "5", "1", "4", "0", "1", "12", "11", "0", "0", "-", "BROKEN"];
        assert_eq!(cells, expected);
        let sum = "1 crates: 4 functions annotated, 1 no longer compile, 11 of 12 tests still pass";
        assert_eq!(lines[9], sum);
    }
}
