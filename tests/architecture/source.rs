//! Reads the sources of all crates of a workspace into a tree of modules.
//!
//! Only `mod` declarations decide which files belong to a crate, as in the compiler: `#[path]` is
//! followed, and code under `#[cfg(test)]` is left out. The names that a module declares or imports
//! are collected here; [`resolve`](crate::resolve) finds out what they stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::cfg::{is_test_only, item_attributes, path_attribute};
use crate::manifest::Manifest;

/// Index of a module in [`Workspace::modules`].
pub(crate) type ModuleId = usize;
/// Index of a crate in [`Workspace::crates`].
pub(crate) type CrateId = usize;

/// All crates of a workspace, and their modules in one list.
#[derive(Default)]
pub(crate) struct Workspace {
    pub(crate) crates: Vec<Crate>,
    pub(crate) modules: Vec<Module>,
}

/// A package with its library, its program, or both.
pub(crate) struct Crate {
    pub(crate) manifest: Manifest,
    /// The name that paths in other crates begin with: `audit_core`.
    pub(crate) library: String,
    /// The root module of `lib.rs`, if there is one.
    pub(crate) library_root: Option<ModuleId>,
    /// Files that are compiled without `cfg(test)`, relative to `src`, with `/` between folders.
    pub(crate) files: BTreeSet<String>,
    /// Files below `src` that no `mod` declares.
    pub(crate) undeclared: Vec<String>,
    test_files: BTreeSet<String>,
    source: PathBuf,
}

/// A module: a file, or a `mod name { … }` in one.
pub(crate) struct Module {
    pub(crate) owner: CrateId,
    pub(crate) file: String,
    pub(crate) parent: Option<ModuleId>,
    /// What the module contains, without its submodules and without tests.
    pub(crate) items: Vec<syn::Item>,
    pub(crate) names: BTreeMap<String, Vec<Binding>>,
    /// What the module imports with `*`.
    pub(crate) globs: Vec<ModulePath>,
}

/// What a name in a module stands for.
#[derive(Clone)]
pub(crate) enum Binding {
    Module(ModuleId),
    /// A type, function, macro, …, defined in that module.
    Item(ModuleId),
    /// Imported by `use`.
    Import {
        path: ModulePath,
        is_reexport: bool,
    },
}

/// A path as it is written.
#[derive(Clone, Debug)]
pub(crate) struct ModulePath {
    pub(crate) segments: Vec<String>,
    /// It begins with `::`, so its first segment is a crate.
    pub(crate) is_absolute: bool,
}

/// One name that a `use` imports.
pub(crate) struct UseLeaf {
    pub(crate) path: ModulePath,
    /// The name it gets here; `None` for `*`.
    pub(crate) name: Option<String>,
    pub(crate) line: usize,
}

impl Workspace {
    /// Loads the package in `root`, and those in the folders directly below it.
    pub(crate) fn load(root: &Path) -> Result<Self, String> {
        let mut folders = vec![root.to_path_buf()];
        folders.extend(sorted_entries(root)?.into_iter().filter(|path| path.is_dir()));
        let mut workspace = Self::default();
        for folder in folders {
            let has_source =
                ["lib.rs", "main.rs"].iter().any(|file| folder.join("src").join(file).is_file());
            if has_source && folder.join("Cargo.toml").is_file() {
                workspace.load_crate(&folder)?;
            }
        }
        Ok(workspace)
    }

    fn load_crate(&mut self, folder: &Path) -> Result<(), String> {
        let manifest = Manifest::read(&folder.join("Cargo.toml"))?;
        let owner = self.crates.len();
        self.crates.push(Crate {
            library: manifest.package.replace('-', "_"),
            manifest,
            library_root: None,
            files: BTreeSet::new(),
            undeclared: Vec::new(),
            test_files: BTreeSet::new(),
            source: folder.join("src"),
        });
        for (file, is_library) in [("lib.rs", true), ("main.rs", false)] {
            let path = folder.join("src").join(file);
            if path.is_file() {
                let root = self.load_file(owner, None, &path, &folder.join("src"))?;
                if is_library {
                    self.crates[owner].library_root = Some(root);
                }
            }
        }
        let mut all = Vec::new();
        rust_files(&folder.join("src"), &mut all)?;
        let loaded = &mut self.crates[owner];
        for path in all {
            let file = loaded.relative(&path);
            if !loaded.files.contains(&file) && !loaded.test_files.contains(&file) {
                loaded.undeclared.push(file);
            }
        }
        Ok(())
    }

    /// Loads the file of a module. The files of its submodules are in `children`.
    fn load_file(
        &mut self,
        owner: CrateId,
        parent: Option<ModuleId>,
        path: &Path,
        children: &Path,
    ) -> Result<ModuleId, String> {
        let file = self.crates[owner].relative(path);
        self.crates[owner].files.insert(file.clone());
        self.load_items(owner, parent, file, parse(path)?.items, Place::new(path, children))
    }

    fn load_items(
        &mut self,
        owner: CrateId,
        parent: Option<ModuleId>,
        file: String,
        items: Vec<syn::Item>,
        place: Place,
    ) -> Result<ModuleId, String> {
        let id = self.modules.len();
        self.modules.push(Module {
            owner,
            file: file.clone(),
            parent,
            items: Vec::new(),
            names: BTreeMap::new(),
            globs: Vec::new(),
        });
        for item in items {
            let is_test = is_test_only(item_attributes(&item));
            match item {
                syn::Item::Mod(module) if is_test => self.skip_tests(owner, &module, &place)?,
                _ if is_test => {}
                syn::Item::Mod(mut module) => {
                    let child = match module.content.take() {
                        Some((_, items)) => {
                            let place = place.inline(&module);
                            self.load_items(owner, Some(id), file.clone(), items, place)?
                        }
                        None => {
                            let (path, children) = place.file_of(&module)?;
                            self.load_file(owner, Some(id), &path, &children)?
                        }
                    };
                    self.bind(id, spelled(&module.ident), Binding::Module(child));
                }
                item => {
                    self.declare(id, &item);
                    self.modules[id].items.push(item);
                }
            }
        }
        Ok(id)
    }

    /// Notes the files of a module that only tests compile.
    fn skip_tests(
        &mut self,
        owner: CrateId,
        module: &syn::ItemMod,
        place: &Place,
    ) -> Result<(), String> {
        let (items, place) = match &module.content {
            Some((_, items)) => (items.clone(), place.inline(module)),
            None => {
                let (path, children) = place.file_of(module)?;
                let file = self.crates[owner].relative(&path);
                self.crates[owner].test_files.insert(file);
                (parse(&path)?.items, Place::new(&path, &children))
            }
        };
        for item in items {
            if let syn::Item::Mod(module) = item {
                self.skip_tests(owner, &module, &place)?;
            }
        }
        Ok(())
    }

    fn bind(&mut self, module: ModuleId, name: String, binding: Binding) {
        self.modules[module].names.entry(name).or_default().push(binding);
    }

    /// Binds the names that `item` declares or imports, also those that a `use` in a function
    /// imports.
    fn declare(&mut self, module: ModuleId, item: &syn::Item) {
        if let syn::Item::Macro(definition) = item
            && definition.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export"))
            && let Some(name) = &definition.ident
        {
            let root = self.root_of(module);
            self.bind(root, spelled(name), Binding::Item(module));
        }
        for name in declared_names(item) {
            self.bind(module, name, Binding::Item(module));
        }
        let mut uses = Uses::default();
        uses.visit_item(item);
        for (leaf, is_reexport) in uses.0 {
            match leaf.name {
                Some(name) => {
                    self.bind(module, name, Binding::Import { path: leaf.path, is_reexport });
                }
                None => self.modules[module].globs.push(leaf.path),
            }
        }
    }

    /// The root module of the tree that `module` is in.
    pub(crate) fn root_of(&self, mut module: ModuleId) -> ModuleId {
        while let Some(parent) = self.modules[module].parent {
            module = parent;
        }
        module
    }
}

impl Crate {
    fn relative(&self, path: &Path) -> String {
        let path = path.strip_prefix(&self.source).unwrap_or(path);
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        parts.join("/")
    }
}

/// Where `mod` declarations of a file look for their files.
struct Place {
    /// The file's own folder, which `#[path]` starts from outside of inline modules.
    folder: PathBuf,
    /// The folder of submodules without `#[path]`.
    children: PathBuf,
}

impl Place {
    fn new(file: &Path, children: &Path) -> Self {
        let folder = file.parent().unwrap_or(file).to_path_buf();
        Self { folder, children: children.to_path_buf() }
    }

    /// Inside of `mod name { … }`.
    fn inline(&self, module: &syn::ItemMod) -> Self {
        let children = match path_attribute(&module.attrs) {
            Some(path) => self.folder.join(path),
            None => self.children.join(spelled(&module.ident)),
        };
        Self { folder: children.clone(), children }
    }

    /// The file of `mod name;`, and the folder of its submodules.
    fn file_of(&self, module: &syn::ItemMod) -> Result<(PathBuf, PathBuf), String> {
        if let Some(path) = path_attribute(&module.attrs) {
            let file = self.folder.join(path);
            let children = file.parent().unwrap_or(&self.folder).to_path_buf();
            return Ok((file, children));
        }
        let name = spelled(&module.ident);
        let children = self.children.join(&name);
        for file in [self.children.join(format!("{name}.rs")), children.join("mod.rs")] {
            if file.is_file() {
                return Ok((file, children));
            }
        }
        Err(format!("`mod {name};` has no file in {}", self.children.display()))
    }
}

fn parse(path: &Path) -> Result<syn::File, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    syn::parse_file(&text)
        .map_err(|error| format!("{}:{}: {error}", path.display(), error.span().start().line))
}

fn sorted_entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    for path in sorted_entries(folder)? {
        if path.is_dir() {
            rust_files(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

fn declared_names(item: &syn::Item) -> Vec<String> {
    let ident = match item {
        syn::Item::Const(item) => &item.ident,
        syn::Item::Enum(item) => &item.ident,
        syn::Item::Fn(item) => &item.sig.ident,
        syn::Item::Static(item) => &item.ident,
        syn::Item::Struct(item) => &item.ident,
        syn::Item::Trait(item) => &item.ident,
        syn::Item::TraitAlias(item) => &item.ident,
        syn::Item::Type(item) => &item.ident,
        syn::Item::Union(item) => &item.ident,
        syn::Item::Macro(item) => match &item.ident {
            Some(ident) => ident,
            None => return Vec::new(),
        },
        syn::Item::ForeignMod(block) => {
            return block
                .items
                .iter()
                .filter_map(|item| match item {
                    syn::ForeignItem::Fn(item) => Some(spelled(&item.sig.ident)),
                    syn::ForeignItem::Static(item) => Some(spelled(&item.ident)),
                    syn::ForeignItem::Type(item) => Some(spelled(&item.ident)),
                    _ => None,
                })
                .collect();
        }
        _ => return Vec::new(),
    };
    vec![spelled(ident)]
}

/// An identifier as it is in the names of files: without `r#`.
pub(crate) fn spelled(ident: &syn::Ident) -> String {
    ident.unraw().to_string()
}

/// All `use` leaves in an item, and whether each is a re-export.
#[derive(Default)]
struct Uses(Vec<(UseLeaf, bool)>);

impl<'ast> Visit<'ast> for Uses {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test_only(item_attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_reexport = is_reexport(item);
        self.0.extend(use_leaves(item).into_iter().map(|leaf| (leaf, is_reexport)));
    }
}

/// Whether a `use` makes its names visible to other modules than its own and those below it.
pub(crate) fn is_reexport(item: &syn::ItemUse) -> bool {
    match &item.vis {
        syn::Visibility::Inherited => false,
        syn::Visibility::Restricted(restricted) => !restricted.path.is_ident("self"),
        _ => true,
    }
}

/// The names that a `use` imports, one by one.
pub(crate) fn use_leaves(item: &syn::ItemUse) -> Vec<UseLeaf> {
    let mut leaves = Vec::new();
    flatten(&item.tree, &mut Vec::new(), item.leading_colon.is_some(), &mut leaves);
    leaves
}

fn flatten(
    tree: &syn::UseTree,
    prefix: &mut Vec<String>,
    is_absolute: bool,
    leaves: &mut Vec<UseLeaf>,
) {
    let mut leaf = |last: Option<&syn::Ident>, name: Option<String>, line| {
        let mut segments = prefix.clone();
        segments.extend(last.filter(|last| *last != "self" || prefix.is_empty()).map(spelled));
        // `use a::b::{self}` imports `b`.
        let name = match name {
            Some(name) if name == "self" => segments.last().cloned(),
            name => name,
        };
        leaves.push(UseLeaf { path: ModulePath { segments, is_absolute }, name, line });
    };
    match tree {
        syn::UseTree::Name(name) => {
            leaf(Some(&name.ident), Some(spelled(&name.ident)), name.span().start().line);
        }
        syn::UseTree::Rename(rename) => {
            let line = rename.span().start().line;
            leaf(Some(&rename.ident), Some(spelled(&rename.rename)), line);
        }
        syn::UseTree::Glob(glob) => leaf(None, None, glob.span().start().line),
        syn::UseTree::Path(path) => {
            prefix.push(spelled(&path.ident));
            flatten(&path.tree, prefix, is_absolute, leaves);
            prefix.pop();
        }
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, prefix, is_absolute, leaves);
            }
        }
    }
}
