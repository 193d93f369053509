//! What the benches share: machine information, tables, statistics and command-line options.

#![allow(dead_code, reason = "no bench uses all of it")]

pub(crate) mod recording;

use std::fmt::Write as _;
use std::process::Command;

/// Prints a title and the machine, because numbers only compare on the same machine.
pub(crate) fn print_heading(title: &str) {
    println!("\n### {title}\n");
    println!("{}\n", machine());
}

/// Describes the machine, the operating system, the compiler and SQLite in one line.
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

/// Returns the value of `name` in a file of `name: value` lines, such as `/proc/meminfo`.
fn line_of(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim_start_matches([':', ' ', '\t']).trim().to_owned())
}

/// Returns the resident memory of this process in KiB: now (`VmRSS`) or at its peak (`VmHWM`).
pub(crate) fn memory_kib(which: &str) -> Option<u64> {
    line_of("/proc/self/status", which)?.split(' ').next()?.parse().ok()
}

/// A Markdown table. The first column is text, the others are numbers and aligned to the right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(header: [&str; N]) -> Self {
        Self { rows: vec![header.map(str::to_owned).into()] }
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
                written.expect("writing to a string cannot fail");
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

/// Formats a number with a comma between thousands: `1,234,567`.
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

/// Returns the value below which `percent` of the values are.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    percentile(values, 50)
}

/// Returns the value of a command-line option, such as `--records 200000`.
pub(crate) fn option(name: &str) -> Option<String> {
    let mut arguments = std::env::args();
    arguments.find(|argument| argument == name)?;
    arguments.next()
}

/// Whether `--quick` asks for a rough result in less time. All benches accept it.
pub(crate) fn is_quick() -> bool {
    std::env::args().any(|argument| argument == "--quick")
}
