//! Parses the floors that `ARCHITECTURE.md` declares. Their syntax is described in `main.rs`.

/// What one block declares.
#[derive(Debug, Default)]
pub(crate) struct Floors {
    pub(crate) package: String,
    /// Lowest first.
    pub(crate) floors: Vec<Floor>,
    pub(crate) recursions: Vec<Floor>,
    pub(crate) crates: Vec<AllowedCrate>,
}

/// One line of files and folders.
#[derive(Debug)]
pub(crate) struct Floor {
    /// Its line in `ARCHITECTURE.md`.
    pub(crate) line: usize,
    /// `file.rs`, or `folder/` for all files below it.
    pub(crate) entries: Vec<String>,
}

/// A crate of the workspace that may be used.
#[derive(Debug)]
pub(crate) struct AllowedCrate {
    pub(crate) line: usize,
    pub(crate) package: String,
    /// The files that may use it; empty if all may.
    pub(crate) only_in: Vec<String>,
}

impl Floors {
    /// The floor that `file` is on, and the entry that puts it there: its own name, else the
    /// longest folder.
    pub(crate) fn of(&self, file: &str) -> Option<(usize, &str)> {
        let entries = self.floors.iter().enumerate().flat_map(|(floor, line)| {
            line.entries.iter().map(move |entry| (floor, entry.as_str()))
        });
        entries.filter(|(_, entry)| matches(entry, file)).max_by_key(|(_, entry)| entry.len())
    }
}

/// Whether an entry names `file`, or a folder above it.
pub(crate) fn matches(entry: &str, file: &str) -> bool {
    entry == file || entry.ends_with('/') && file.starts_with(entry)
}

/// All blocks of a document.
pub(crate) fn parse(document: &str) -> Result<Vec<Floors>, String> {
    let mut blocks: Vec<Floors> = Vec::new();
    let mut is_inside = false;
    for (text, line) in document.lines().map(str::trim).zip(1..) {
        if let Some(package) = text.strip_prefix("```floors") {
            let package = package.trim().to_owned();
            if package.is_empty() || blocks.iter().any(|block| block.package == package) {
                return Err(format!(
                    "ARCHITECTURE.md:{line}: a floors block needs the name of a crate, and \
                     each crate has one block"
                ));
            }
            blocks.push(Floors { package, ..Floors::default() });
            is_inside = true;
        } else if text.starts_with("```") {
            is_inside = false;
        } else if is_inside && let Some(block) = blocks.last_mut() {
            let text = text.split('#').next().unwrap_or_default().trim();
            if !text.is_empty() {
                block.add(text, line)?;
            }
        }
    }
    Ok(blocks)
}

impl Floors {
    fn add(&mut self, text: &str, line: usize) -> Result<(), String> {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        if let Some(text) = text.strip_prefix("recursion:") {
            self.recursions.push(Floor { line, entries: words(text) });
        } else if let Some(text) = text.strip_prefix("crate:") {
            let (package, only_in) = text.split_once(" in ").unwrap_or((text, ""));
            let package = package.trim().to_owned();
            self.crates.push(AllowedCrate { line, package, only_in: words(only_in) });
        } else {
            let entries = words(text);
            for entry in &entries {
                if !entry.ends_with(".rs") && !entry.ends_with('/') {
                    return Err(format!(
                        "ARCHITECTURE.md:{line}: `{entry}` is neither a file (`name.rs`) \
                         nor a folder (`name/`)"
                    ));
                }
                if self.floors.iter().any(|floor| floor.entries.contains(entry)) {
                    return Err(format!("ARCHITECTURE.md:{line}: `{entry}` is on two floors"));
                }
            }
            self.floors.push(Floor { line, entries });
        }
        Ok(())
    }
}
