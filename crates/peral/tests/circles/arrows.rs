//! The arrows between the files of a crate: which takes what from which.

use std::{collections::BTreeSet, fmt, path::PathBuf};

use syn::{Attribute, Item, ItemUse, Macro, Meta, Visibility, visit::Visit};

use crate::modules::{Modules, Target, attributes, imports, only_for_tests};

/// `from` takes `name`, which `to` defines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    pub from: PathBuf,
    pub to: PathBuf,
    pub name: String,
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} takes {} from {}", self.from.display(), self.name, self.to.display())
    }
}

/// All arrows of a crate. A name that is re-exported is taken from the file that defines it; a
/// module that is only named, by `mod` or `use`, is no arrow.
pub fn arrows(modules: &Modules) -> BTreeSet<Arrow> {
    let mut found = BTreeSet::new();
    for (index, module) in modules.iter() {
        let mut reader = Reader { modules, index, found: &mut found };
        module.items.iter().for_each(|item| reader.visit_item(item));
    }
    found
}

/// Reads the paths that a module's items say.
struct Reader<'a> {
    modules: &'a Modules,
    index: usize,
    found: &'a mut BTreeSet<Arrow>,
}

impl Reader<'_> {
    fn note(&mut self, path: &[String], whole: bool) {
        let (module, name) = match self.modules.resolve(self.index, path) {
            Some(Target::Item(module, name)) => (module, name),
            Some(Target::Module(module)) if whole => (module, "*".to_owned()),
            _ => return,
        };
        let (from, to) = (self.modules.file(self.index), self.modules.file(module));
        if from != to {
            self.found.insert(Arrow { from: from.to_owned(), to: to.to_owned(), name });
        }
    }

    /// The paths in the tokens of a macro call or an attribute, which nobody parsed.
    fn scan(&mut self, tokens: &str) {
        let word = |text: &str| text.chars().all(|c| c.is_alphanumeric() || c == '_');
        let spaced = tokens.replace("::", " :: ");
        let other = |c: char| !word(c.encode_utf8(&mut [0; 4])) && c != ':' && !c.is_whitespace();
        let spaced = spaced.replace(other, " ; ");
        let mut path: Vec<String> = Vec::new();
        let mut joined = false;
        for token in spaced.split_whitespace().chain([";"]) {
            if token == "::" {
                joined = true;
                continue;
            }
            if !joined {
                self.end_of(&mut path);
            }
            if word(token) {
                path.push(token.to_owned());
            }
            joined = false;
        }
        self.end_of(&mut path);
    }

    fn end_of(&mut self, path: &mut Vec<String>) {
        if path.len() > 1 {
            self.note(path, false);
        }
        path.clear();
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !only_for_tests(attributes(item)) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for import in imports(item) {
            self.note(&import.path, import.name.is_none());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        // A name alone was imported, and counted there.
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let names: Vec<_> = path.segments.iter().map(|one| one.ident.to_string()).collect();
            self.note(&names, false);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.scan(&call.tokens.to_string());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.scan(&list.tokens.to_string());
        }
    }

    // `pub(in crate::a)` takes nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}
