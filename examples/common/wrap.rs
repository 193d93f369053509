//! Prints long values so that they fit a terminal.

/// Prints `text` behind `label`, with line breaks between words where it exceeds 100 columns. Lines
/// after the first are indented by `indent`.
pub(crate) fn print_wrapped(label: &str, indent: usize, text: &str) {
    let mut line = label.to_owned();
    for word in text.split_inclusive([',', ' ']) {
        if line.chars().count() + word.trim_end().chars().count() > 100 {
            println!("{}", line.trim_end());
            line = " ".repeat(indent);
        }
        line += word;
    }
    println!("{line}");
}
