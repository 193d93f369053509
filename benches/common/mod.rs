//! What the benches share: which machine it was, how a table looks, and which number of many is told.

#![allow(dead_code, reason = "no bench uses all of it")]

use std::fmt::Write as _;
use std::process::Command;

/// Prints what was measured, when and where: a number without its machine says nothing.
pub(crate) fn print_heading(title: &str) {
    println!("\n### {title}\n");
    println!("{}\n", machine());
}

/// This machine, its system, the compiler and SQLite, in one line.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processor = line_of("/proc/cpuinfo", "model name").unwrap_or("processor unknown".into());
    let memory = line_of("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
        .map_or_else(String::new, |kib| format!(", {} GiB", (kib + (1 << 19)) >> 20));
    let system = line_of("/proc/version", "Linux version")
        .and_then(|text| Some(format!("Linux {}", text.split(' ').next()?)))
        .unwrap_or(std::env::consts::OS.into());
    let rust = Command::new("rustc").arg("--version").output();
    let rust = rust.map_or("rustc unknown".into(), |output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    });
    format!("{cores} cores ({processor}){memory}, {system}, {rust}, SQLite {}", rusqlite::version())
}

/// What stands behind `name` in a file of the kind that Linux keeps below `/proc`.
fn line_of(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start_matches([':', ' ', '\t']).trim().to_owned())
}

/// Kilobytes of memory that this process holds (`VmRSS`), or has held at most (`VmHWM`).
pub(crate) fn memory_kib(which: &str) -> Option<u64> {
    line_of("/proc/self/status", which)?.split(' ').next()?.parse().ok()
}

/// A table in Markdown: the first column to the left, the others, numbers, to the right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(heads: [&str; N]) -> Self {
        Self { rows: vec![heads.map(str::to_owned).into()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    pub(crate) fn print(&self) {
        let columns = self.rows[0].len();
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (n, row) in self.rows.iter().enumerate() {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let written = match column {
                    0 => write!(text, "| {cell:<width$} "),
                    _ => write!(text, "| {cell:>width$} "),
                };
                written.expect("text takes it");
            }
            text.push_str("|\n");
            if n == 0 {
                for (column, width) in widths.iter().enumerate() {
                    let end = if column == 0 { "-" } else { ":" };
                    text += &format!("|{}{end}", "-".repeat(width + 1));
                }
                text.push_str("|\n");
            }
        }
        println!("{text}");
    }
}

/// A number with a comma between thousands: `1,234,567`.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The value below which `percent` of the others are.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    percentile(values, 50)
}

/// The value of an option of the command line, such as `--records 200000`.
pub(crate) fn option(name: &str) -> Option<String> {
    let mut words = std::env::args();
    words.find(|word| word == name)?;
    words.next()
}

/// Whether a look is wanted that is quick and rough: `cargo bench -- --quick` does all benches so.
pub(crate) fn is_quick() -> bool {
    std::env::args().any(|word| word == "--quick")
}
