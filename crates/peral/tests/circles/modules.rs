//! The modules of one crate: which file each is in, and what its names mean.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use syn::{Attribute, Expr, Item, ItemMod, ItemUse, Lit, Meta, UseTree, visit::Visit};

/// A path of names: `crate::library::Stamp` is three of them.
pub type Names = Vec<String>;

/// A module. A file compiled twice, by two `#[path]` lines, is two of them.
pub struct Module {
    pub file: PathBuf,
    pub parent: usize,
    pub items: Vec<Item>,
    children: BTreeMap<String, usize>,
    defined: BTreeSet<String>,
    aliases: BTreeMap<String, Vec<Names>>,
    globs: Vec<Names>,
}

/// What a path means.
pub enum Target {
    /// Something of this name, defined in this module's file.
    Item(usize, String),
    /// A module, named so that something in it can be.
    Module(usize),
}

/// The modules of a crate.
pub struct Modules {
    /// The first is the root.
    all: Vec<Module>,
    /// Macros with `#[macro_export]`: named at the root, defined in these modules.
    exported: BTreeMap<String, usize>,
}

/// More re-exports of re-exports than anybody writes: `use a::a` would go on for ever.
const HOPS: usize = 12;

impl Modules {
    /// Reads `root` and every module below it.
    pub fn read(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Self {
        let mut modules = Self { all: Vec::new(), exported: BTreeMap::new() };
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        let text = read(root).unwrap_or_else(|| panic!("{} is not there", root.display()));
        let items = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", root.display()));
        modules.add(root.to_owned(), &folder, 0, items.items, read);
        modules
    }

    /// `folder` is where the files of its child modules lie.
    fn add(
        &mut self,
        file: PathBuf,
        folder: &Path,
        parent: usize,
        items: Vec<Item>,
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> usize {
        let index = self.all.len();
        let mut imports = Imports::default();
        items.iter().for_each(|item| imports.visit_item(item));
        self.all.push(Module {
            file,
            parent,
            children: BTreeMap::new(),
            defined: items.iter().filter_map(defined).collect(),
            aliases: imports.aliases,
            globs: imports.globs,
            items: Vec::new(),
        });
        for item in &items {
            if let Item::Macro(exported) = item
                && exported.attrs.iter().any(|one| one.path().is_ident("macro_export"))
            {
                self.exported.extend(defined(item).map(|name| (name, index)));
            }
        }
        let mut own = Vec::new();
        for item in items.into_iter().filter(|item| !only_for_tests(attributes(item))) {
            match item {
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    if let Some(child) = self.add_child(index, folder, module, read) {
                        self.all[index].children.insert(name, child);
                    }
                }
                item => own.push(item),
            }
        }
        self.all[index].items = own;
        index
    }

    fn add_child(
        &mut self,
        parent: usize,
        folder: &Path,
        module: ItemMod,
        read: &dyn Fn(&Path) -> Option<String>,
    ) -> Option<usize> {
        let name = module.ident.to_string();
        let file = self.all[parent].file.clone();
        if let Some((_, items)) = module.content {
            return Some(self.add(file, &folder.join(&name), parent, items, read));
        }
        let (path, below) = match named_path(&module.attrs) {
            // Such a file is the `mod.rs` of its folder.
            Some(named) => {
                let path = file.parent()?.join(named);
                (path.clone(), path.parent()?.to_owned())
            }
            None => (folder.join(format!("{name}.rs")), folder.join(&name)),
        };
        let items = syn::parse_file(&read(&path)?);
        let items = items.unwrap_or_else(|e| panic!("{}: {e}", path.display())).items;
        Some(self.add(path, &below, parent, items, read))
    }

    pub fn iter(&self) -> impl Iterator<Item = (usize, &Module)> {
        self.all.iter().enumerate()
    }

    pub fn file(&self, module: usize) -> &Path {
        &self.all[module].file
    }

    /// What `path` means where `from` says it; `None` where it leaves the crate.
    pub fn resolve(&self, from: usize, path: &[String]) -> Option<Target> {
        self.follow(from, path, HOPS)
    }

    fn follow(&self, from: usize, path: &[String], hops: usize) -> Option<Target> {
        let hops = hops.checked_sub(1)?;
        let (mut module, mut rest) = (from, path);
        while let Some((first, after)) = rest.split_first() {
            module = match first.as_str() {
                "crate" => 0,
                "self" => module,
                "super" => self.all[module].parent,
                _ => return self.walk(module, rest, rest.len() < path.len(), hops),
            };
            rest = after;
        }
        Some(Target::Module(module))
    }

    /// Looks `path` up in `module`. Where the module is said to have it (`anchored`), a name that
    /// is not found comes from a macro, and counts as the module's own.
    fn walk(&self, module: usize, path: &[String], anchored: bool, hops: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let here = &self.all[module];
        let child = here.children.get(first).copied();
        match child {
            Some(child) if !rest.is_empty() => return self.walk(child, rest, true, hops),
            _ if here.defined.contains(first) => return Some(Target::Item(module, first.clone())),
            _ => {}
        }
        if let Some(defining) = self.exported.get(first).filter(|_| module == 0) {
            return Some(Target::Item(*defining, first.clone()));
        }
        let alias = here
            .aliases
            .get(first)
            .into_iter()
            .flatten()
            .find_map(|alias| self.follow(module, &[alias.as_slice(), rest].concat(), hops));
        let glob = || {
            here.globs.iter().find_map(|glob| match self.follow(module, glob, hops)? {
                Target::Module(one) if one != module => {
                    self.walk(one, path, false, hops.checked_sub(1)?)
                }
                _ => None,
            })
        };
        alias
            .or(child.map(Target::Module))
            .or_else(glob)
            .or_else(|| anchored.then(|| Target::Item(module, first.clone())))
    }
}

/// The imports of a module, those within its functions included.
#[derive(Default)]
struct Imports {
    aliases: BTreeMap<String, Vec<Names>>,
    globs: Vec<Names>,
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item(&mut self, item: &'ast Item) {
        if !only_for_tests(attributes(item)) && !matches!(item, Item::Mod(_)) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for import in imports(item) {
            match import.name {
                Some(name) => self.aliases.entry(name).or_default().push(import.path),
                None => self.globs.push(import.path),
            }
        }
    }
}

/// One leaf of a `use`.
pub struct Import {
    pub path: Names,
    /// The name that it gets here; none for a `*`.
    pub name: Option<String>,
}

/// The leaves of a `use`; none for `use ::outside`.
pub fn imports(item: &ItemUse) -> Vec<Import> {
    let mut found = Vec::new();
    if item.leading_colon.is_none() {
        flatten(&item.tree, &mut Vec::new(), &mut found);
    }
    found
}

fn flatten(tree: &UseTree, before: &mut Names, found: &mut Vec<Import>) {
    let leaf = |last: &str, name: &str| {
        let path = before.iter().cloned().chain((last != "self").then(|| last.to_owned()));
        Import { path: path.collect(), name: Some(name.to_owned()) }
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, found);
            before.pop();
        }
        UseTree::Group(group) => {
            group.items.iter().for_each(|tree| flatten(tree, before, found));
        }
        UseTree::Glob(_) => found.push(Import { path: before.clone(), name: None }),
        UseTree::Rename(rename) => {
            found.push(leaf(&rename.ident.to_string(), &rename.rename.to_string()));
        }
        UseTree::Name(name) => {
            let last = name.ident.to_string();
            let own = if last == "self" { before.last() } else { None };
            let own = own.cloned().unwrap_or_else(|| last.clone());
            found.push(leaf(&last, &own));
        }
    }
}

/// The name that an item defines here.
fn defined(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether this stands under `#[cfg(test)]`.
pub fn only_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

/// The file that a `#[path = "…"]` names.
fn named_path(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}
