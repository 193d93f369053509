//! A copy of a package whose functions have the attribute.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::annotate::{Function, Source};
use crate::compile::CompileError;
use crate::crates::Subject;
use crate::fetch::{self, Root};
use crate::record;
use crate::trial::{Attribute, BrokenFunction, Outcome};

/// A copy of a package whose functions have the attribute.
pub(crate) struct Copy {
    /// The folder of the copy.
    pub(crate) folder: PathBuf,
    attribute: Attribute,
    files: BTreeMap<PathBuf, File>,
    unparsed: usize,
    broken_functions: Vec<BrokenFunction>,
    /// An error that occurs with any attribute, but in none of the annotated functions.
    error_without_cause: Option<String>,
}

struct File {
    source: Source,
    /// Indices of the functions that have the attribute.
    chosen: BTreeSet<usize>,
    root: bool,
    /// Text to append to the file.
    appended: String,
}

impl Copy {
    /// Reads the `sources` of the package in `plain` for a copy in `folder`. Every function that
    /// can have the attribute gets it.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or one that is not a complete Rust file cannot be copied.
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
            broken_functions: Vec::new(),
            error_without_cause: None,
        };
        for path in sources {
            let text = fs::read_to_string(plain.join(path))
                .with_context(|| format!("cannot read {path:?}"))?;
            let Ok(source) = Source::parse(text.clone()) else {
                fetch::write(&folder.join(path), &text)?;
                copy.unparsed += 1;
                continue;
            };
            let annotatable = (0..source.functions().len())
                .filter(|index| source.functions()[*index].obstacle.is_none());
            let chosen = annotatable.collect();
            let root = roots.iter().find(|root| root.file == *path);
            // In edition 2015, an absolute path starts at the crate itself.
            let is_2015 = root.is_some_and(|root| root.edition == "2015");
            let appended = if is_2015 {
                format!("\nextern crate {};\n", attribute.crate_name())
            } else {
                String::new()
            };
            copy.files
                .insert(path.clone(), File { source, chosen, root: root.is_some(), appended });
        }
        Ok(copy)
    }

    /// Writes the files with the current attributes.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub(crate) fn write(&self) -> Result<()> {
        for (path, file) in &self.files {
            let text = file.source.annotated(self.attribute.text(), &file.chosen) + &file.appended;
            fetch::write(&self.folder.join(path), &text)?;
        }
        Ok(())
    }

    /// Changes the folder of the copy.
    pub(crate) fn move_to(&mut self, folder: &Path) {
        self.folder = folder.to_owned();
    }

    /// Links the recorder into every program.
    pub(crate) fn link_recorder(&mut self) {
        for file in self.files.values_mut().filter(|file| file.root) {
            file.appended.push_str(record::EXTERN_CRATE);
        }
    }

    /// Removes the attribute from the functions in which the errors are. If no error is in an
    /// annotated function, removes all attributes. Returns `false` if there were none.
    pub(crate) fn remove_attributes(&mut self, errors: &[CompileError]) -> bool {
        // All errors must be located before the text changes.
        let mut causes = BTreeMap::new();
        for error in errors {
            let place = error.places.iter().find_map(|(path, offset)| self.at(path, *offset));
            if let Some(place) = place {
                causes.entry(place).or_insert(&error.message);
            }
        }
        for ((path, index), message) in &causes {
            let file = self.files.get_mut(path).expect("the place was found in this file");
            file.chosen.remove(index);
            let function = &file.source.functions()[*index];
            let function = format!("{}:{} {}", path.display(), function.line, function.name);
            self.broken_functions.push(BrokenFunction { function, error: (*message).clone() });
        }
        if !causes.is_empty() {
            return true;
        }
        self.error_without_cause = errors.first().map(|error| error.message.clone());
        let annotated = self.files.values().any(|file| !file.chosen.is_empty());
        self.files.values_mut().for_each(|file| file.chosen.clear());
        annotated
    }

    fn at(&self, path: &Path, offset: usize) -> Option<(PathBuf, usize)> {
        let file = self.files.get(path)?;
        let index = file.source.at(offset, self.attribute.text(), &file.chosen)?;
        Some((path.to_owned(), index))
    }

    /// Returns the outcome as far as it is known before the tests run.
    pub(crate) fn outcome(&mut self, subject: &Subject, warnings: (usize, usize)) -> Outcome {
        let functions = || self.files.values().flat_map(|file| file.source.functions());
        let is_excluded = |function: &&Function| function.obstacle.is_some();
        let outcome = Outcome {
            subject: subject.clone(),
            functions: functions().count(),
            excluded: functions().filter(is_excluded).count(),
            in_macros: self.files.values().map(|file| file.source.in_macros()).sum(),
            unparsed: self.unparsed,
            warnings,
            ..Outcome::default()
        };
        let (broken_functions, error_without_cause) =
            (std::mem::take(&mut self.broken_functions), self.error_without_cause.take());
        Outcome { broken_functions, error_without_cause, ..outcome }
    }
}
