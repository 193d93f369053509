//! Finds out in which file the name at the end of a path is defined.
//!
//! Re-exports are followed: where `lib.rs` has `pub use record::Record`, the path `crate::Record`
//! leads to `record.rs`. A name that a module should contain but does not declare is taken to be
//! made by a macro in that module.

use std::collections::BTreeSet;

use crate::source::{Binding, CrateId, ModuleId, ModulePath, Workspace};

/// What a path leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) place: Place,
    /// The other crate of the workspace by which the path leaves its own.
    pub(crate) through: Option<CrateId>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Module(ModuleId),
    /// Something that is defined in the module.
    Item(ModuleId),
    /// Nothing in this workspace.
    Outside,
}

/// A path's targets, and the segment that names the item; several targets only where `cfg` decides.
pub(crate) struct Resolved {
    pub(crate) targets: Vec<Target>,
    pub(crate) named: String,
}

/// Names that are being looked up, so that imports in a circle end.
type Seen = BTreeSet<(ModuleId, String)>;

impl Workspace {
    /// Resolves `path` as it stands in `module`. No targets: its first segment is not known.
    pub(crate) fn resolve(&self, module: ModuleId, path: &ModulePath) -> Resolved {
        self.walk(module, path, &mut Seen::new())
    }

    fn walk(&self, module: ModuleId, path: &ModulePath, seen: &mut Seen) -> Resolved {
        let named = path.segments.first().cloned().unwrap_or_default();
        let (mut targets, rest) = self.begin(module, path, seen);
        let mut resolved = Resolved { targets: Vec::new(), named };
        for segment in rest {
            // A module can share its name with a function; only the module has members.
            let modules: Vec<_> = targets
                .iter()
                .filter_map(|target| match target.place {
                    Place::Module(inner) => Some((inner, target.through)),
                    _ => None,
                })
                .collect();
            if modules.is_empty() {
                break;
            }
            resolved.named.clone_from(segment);
            targets = modules
                .into_iter()
                .flat_map(|(inner, through)| self.member(inner, segment, through, seen))
                .collect();
        }
        resolved.targets = targets;
        resolved
    }

    /// What the beginning of a path leads to, and the segments that are left.
    fn begin<'path>(
        &self,
        module: ModuleId,
        path: &'path ModulePath,
        seen: &mut Seen,
    ) -> (Vec<Target>, &'path [String]) {
        let Some((first, mut rest)) = path.segments.split_first() else {
            return (Vec::new(), &[]);
        };
        let inner = |module| vec![Target { place: Place::Module(module), through: None }];
        if path.is_absolute {
            return (self.workspace_crate(module, first), rest);
        }
        match first.as_str() {
            "crate" => (inner(self.root_of(module)), rest),
            "self" | "super" => {
                let up = |module: ModuleId| self.modules[module].parent.unwrap_or(module);
                let mut place = if first == "super" { up(module) } else { module };
                while let Some((next, after)) = rest.split_first()
                    && next == "super"
                {
                    place = up(place);
                    rest = after;
                }
                (inner(place), rest)
            }
            name => match self.lookup(module, name, seen) {
                Some(targets) => (targets, rest),
                None => (self.workspace_crate(module, name), rest),
            },
        }
    }

    /// The root of the library that is called `name`.
    fn workspace_crate(&self, module: ModuleId, name: &str) -> Vec<Target> {
        let own = self.modules[module].owner;
        self.crates
            .iter()
            .enumerate()
            .filter(|(_, other)| other.library == name)
            .filter_map(|(id, other)| {
                let place = Place::Module(other.library_root?);
                Some(Target { place, through: (id != own).then_some(id) })
            })
            .collect()
    }

    /// What `name` is in `module`, which is known to contain it.
    fn member(
        &self,
        module: ModuleId,
        name: &str,
        through: Option<CrateId>,
        seen: &mut Seen,
    ) -> Vec<Target> {
        let mut targets = self
            .lookup(module, name, seen)
            .unwrap_or_else(|| vec![Target { place: Place::Item(module), through: None }]);
        for target in &mut targets {
            target.through = through.or(target.through);
        }
        targets
    }

    /// What `name` is in `module`; `None` if the module does not have it.
    pub(crate) fn lookup(
        &self,
        module: ModuleId,
        name: &str,
        seen: &mut Seen,
    ) -> Option<Vec<Target>> {
        if !seen.insert((module, name.to_owned())) {
            // `mod record; pub use record::record;`: what is being looked up begins at the module.
            return self.modules[module].names.get(name)?.iter().find_map(|binding| {
                let Binding::Module(inner) = binding else { return None };
                Some(vec![Target { place: Place::Module(*inner), through: None }])
            });
        }
        let found = self.lookup_new(module, name, seen);
        seen.remove(&(module, name.to_owned()));
        found
    }

    fn lookup_new(&self, module: ModuleId, name: &str, seen: &mut Seen) -> Option<Vec<Target>> {
        let own = |place| Target { place, through: None };
        let Some(bindings) = self.modules[module].names.get(name) else {
            return self.modules[module].globs.iter().find_map(|glob| {
                self.walk(module, glob, seen).targets.into_iter().find_map(|target| {
                    let Place::Module(inner) = target.place else { return None };
                    let mut targets = self.lookup(inner, name, seen)?;
                    for found in &mut targets {
                        found.through = target.through.or(found.through);
                    }
                    Some(targets)
                })
            });
        };
        let mut targets = Vec::new();
        for binding in bindings {
            match binding {
                Binding::Module(inner) => targets.push(own(Place::Module(*inner))),
                Binding::Item(definer) => targets.push(own(Place::Item(*definer))),
                Binding::Import { path, .. } => {
                    targets.extend(self.walk(module, path, seen).targets);
                }
            }
        }
        if targets.is_empty() {
            targets.push(own(Place::Outside));
        }
        Some(targets)
    }
}
