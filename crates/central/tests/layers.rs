//! The layers inside central: http above service above store. What only the compiler sees would
//! let a use case name a handler, and the catalogue a use case.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A layer, and the layers above it, which it may not name.
const LAYERS: [(&str, &[&str]); 2] = [("service", &["http"]), ("store", &["http", "service"])];

#[test]
fn no_layer_names_one_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let modules = modules(&src);
    for (layer, above) in LAYERS {
        let files = files_of(&src, layer);
        assert!(files.len() > 5, "{layer} has lost its files: {files:?}");
        for file in files {
            let depth = file.strip_prefix(&src).unwrap().components().count();
            for name in named(&fs::read_to_string(&file).unwrap(), depth) {
                let file = file.display();
                assert!(
                    !above.contains(&name.as_str()),
                    "{file} names crate::{name}, which is above {layer}: move what it needs down"
                );
                // What lib.rs exports may be of any layer.
                assert!(
                    modules.contains(&name),
                    "{file} names crate::{name}, which is not a module: name the module it is in"
                );
            }
        }
    }
}

#[test]
fn paths_from_the_root_of_the_crate_are_found() {
    let source = "
        use super::{super::http::Class, listing};
        use crate::{config::{Config, Limits}, keys, service::{App, crate_free::X}, };
        use crate::token::Subject; // crate::comment
        fn f() { crate::password::good_enough() }
        ";
    let found = ["config", "http", "keys", "password", "service", "token"];
    assert_eq!(named(source, 2), found.map(str::to_owned).into());
}

/// The modules of the crate.
fn modules(src: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(src).unwrap().map(|entry| entry.unwrap().path());
    names.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// The file of a module, and all files below it.
fn files_of(src: &Path, module: &str) -> Vec<PathBuf> {
    let (mut folders, mut files) =
        (vec![src.join(module)], vec![src.join(module).with_extension("rs")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

/// The modules that a source names from the root of its crate: by `crate::`, or by as many
/// `super::` as lead there from a module so deep.
fn named(source: &str, depth: usize) -> BTreeSet<String> {
    let lines = source.lines().map(|line| line.split("//").next().unwrap_or_default());
    let code: String = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
    // `use super::{super::http, …}` leads to the root, too.
    let code = code.replace("super::{super::", "super::super::");
    let root = "super::".repeat(depth);
    let after = |prefix: &str| {
        code.match_indices(prefix)
            .map(|(at, _)| code[at + prefix.len()..].to_owned())
            .collect::<Vec<_>>()
    };
    after("crate::").iter().chain(&after(&root)).flat_map(|path| first_names(path)).collect()
}

/// The first names of a path, or of each path in a group of them.
fn first_names(path: &str) -> Vec<String> {
    let name = |path: &str| {
        let end = path.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        path[..end.unwrap_or(path.len())].to_owned()
    };
    let Some(group) = path.trim_start().strip_prefix('{') else { return vec![name(path)] };
    let (mut depth, mut names, mut start) = (0_usize, vec![], true);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            _ if start && !letter.is_whitespace() => {
                names.push(name(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    names
}
