//! The copy of a package whose functions bear the attribute.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::annotate::{Function, Source};
use crate::compile;
use crate::crates::Subject;
use crate::fetch::{self, Root};
use crate::record;
use crate::trial::{Attribute, Fault, Outcome};

/// A copy of the package whose functions carry the attribute.
pub(crate) struct Copy {
    /// Where it is.
    pub(crate) folder: PathBuf,
    attribute: Attribute,
    files: BTreeMap<PathBuf, File>,
    unparsed: usize,
    faults: Vec<Fault>,
    /// The error that stays while any function bears the attribute.
    apart: Option<String>,
}

struct File {
    source: Source,
    /// Indices of the functions that carry the attribute.
    chosen: BTreeSet<usize>,
    root: bool,
    /// Text added behind the last line.
    appended: String,
}

impl Copy {
    /// Reads the `sources` of the package in `plain`, for a copy in `folder` with the attribute on every
    /// function that can bear it.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, or one that is no Rust cannot be copied.
    pub(crate) fn read(
        plain: &Path,
        folder: &Path,
        sources: &BTreeSet<PathBuf>,
        attribute: Attribute,
        roots: &[Root],
    ) -> Result<Self> {
        let mut copy = Self {
            folder: folder.to_owned(),
            attribute,
            files: BTreeMap::new(),
            unparsed: 0,
            faults: Vec::new(),
            apart: None,
        };
        for path in sources {
            let text = fs::read_to_string(plain.join(path))
                .with_context(|| format!("cannot read {path:?}"))?;
            let Ok(source) = Source::parse(text.clone()) else {
                fetch::write(&folder.join(path), &text)?;
                copy.unparsed += 1;
                continue;
            };
            let free = (0..source.functions().len())
                .filter(|index| source.functions()[*index].bare.is_none());
            let chosen = free.collect();
            let root = roots.iter().find(|root| root.file == *path);
            // In the edition of 2015 an absolute path starts at the crate itself.
            let old = root.is_some_and(|root| root.edition == "2015");
            let appended = if old {
                format!("\nextern crate {};\n", attribute.crate_name())
            } else {
                String::new()
            };
            copy.files
                .insert(path.clone(), File { source, chosen, root: root.is_some(), appended });
        }
        Ok(copy)
    }

    /// Writes the files as they are annotated now.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub(crate) fn write(&self) -> Result<()> {
        for (path, file) in &self.files {
            let text = file.source.annotated(self.attribute.text(), &file.chosen) + &file.appended;
            fetch::write(&self.folder.join(path), &text)?;
        }
        Ok(())
    }

    /// From now on the copy is in `folder`.
    pub(crate) fn move_to(&mut self, folder: &Path) {
        self.folder = folder.to_owned();
    }

    /// Links the recorder into every program.
    pub(crate) fn arm(&mut self) {
        for file in self.files.values_mut().filter(|file| file.root) {
            file.appended.push_str(record::LINKED);
        }
    }

    /// Takes the attribute from the functions that the errors point at. Where no error is in a function
    /// that still bears one, all lose it; false when none has it.
    pub(crate) fn strip(&mut self, errors: &[compile::Fault]) -> bool {
        // All errors of a round are placed before the text changes.
        let mut guilty = BTreeMap::new();
        for error in errors {
            let place = error.places.iter().find_map(|(path, offset)| self.at(path, *offset));
            if let Some(place) = place {
                guilty.entry(place).or_insert(&error.message);
            }
        }
        for ((path, index), message) in &guilty {
            let file = self.files.get_mut(path).expect("the place was found in this file");
            file.chosen.remove(index);
            let function = &file.source.functions()[*index];
            let function = format!("{}:{} {}", path.display(), function.line, function.name);
            self.faults.push(Fault { function, error: (*message).clone() });
        }
        if !guilty.is_empty() {
            return true;
        }
        self.apart = errors.first().map(|error| error.message.clone());
        let annotated = self.files.values().any(|file| !file.chosen.is_empty());
        self.files.values_mut().for_each(|file| file.chosen.clear());
        annotated
    }

    fn at(&self, path: &Path, offset: usize) -> Option<(PathBuf, usize)> {
        let file = self.files.get(path)?;
        let index = file.source.at(offset, self.attribute.text(), &file.chosen)?;
        Some((path.to_owned(), index))
    }

    /// What is known before the tests run.
    pub(crate) fn outcome(&mut self, subject: &Subject, warnings: (usize, usize)) -> Outcome {
        let functions = || self.files.values().flat_map(|file| file.source.functions());
        let bare = |function: &&Function| function.bare.is_some();
        let outcome = Outcome {
            subject: subject.clone(),
            functions: functions().count(),
            bare: functions().filter(bare).count(),
            in_macros: self.files.values().map(|file| file.source.in_macros()).sum(),
            unparsed: self.unparsed,
            warnings,
            ..Outcome::default()
        };
        let (faults, apart) = (std::mem::take(&mut self.faults), self.apart.take());
        Outcome { faults, apart, ..outcome }
    }
}
