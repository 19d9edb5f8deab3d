//! README.md and crates/README.md name only files that exist: checks every link and every path in
//! backticks.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folders that are not part of the repository.
const LEFT_OUT: [&str; 3] = ["target", ".git", ".bench"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All files and folders below, relative to the root, with `/` before each.
fn tree(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if LEFT_OUT.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        found.push(format!("/{}", path.strip_prefix(root()).unwrap().display()));
        if path.is_dir() {
            tree(&path, found);
        }
    }
}

/// `a/{b,c}.rs` is two paths.
fn expanded(text: &str) -> Vec<String> {
    match text.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?))) {
        Some((before, (middle, after))) => {
            middle.split(',').map(|one| format!("{before}{one}{after}")).collect()
        }
        None => vec![text.to_owned()],
    }
}

/// The texts between these marks.
fn between<'a>(text: &'a str, open: &'a str, close: char) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split_once(close)).map(|(inner, _)| inner)
}

/// Whether a text in backticks is a path. The end of a path is enough. Files in `target` need not
/// exist.
fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_.,{}-".contains(c);
    text.ends_with(".rs")
        || (text.contains('/')
            && !text.contains("//")
            && !text.starts_with(['/', '.'])
            && !text.starts_with("target/")
            && text.chars().all(plain))
}

/// The paths in a map that do not exist.
fn missing(map: &Path, text: &str, tree: &[String]) -> Vec<String> {
    let folder = map.parent().unwrap();
    let links = between(text, "](", ')')
        .filter(|link| !link.contains("://") && !folder.join(link).exists())
        .map(str::to_owned);
    let prose = text.split("```").step_by(2).collect::<String>();
    let ticked = prose
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|text| is_path(text))
        .flat_map(expanded)
        .collect::<Vec<_>>();
    let there = |path: &String| {
        tree.iter().any(|known| known.ends_with(&format!("/{}", path.trim_end_matches('/'))))
    };
    links.chain(ticked.into_iter().filter(|path| !there(path))).collect()
}

#[test]
fn the_maps_name_only_what_is_there() {
    let mut paths = Vec::new();
    tree(&root(), &mut paths);
    for map in ["README.md", "crates/README.md"] {
        let map = root().join(map);
        let text = fs::read_to_string(&map).unwrap();
        assert_eq!(missing(&map, &text, &paths), Vec::<String>::new(), "in {}", map.display());
    }
}

/// The invariants of the features that exist; I5 is about folder sync.
const KEPT: [&str; 7] = ["I1", "I2", "I3", "I4", "I6", "I7", "I8"];

/// Files with a test whose comment starts with this invariant's number.
fn shown_by(invariant: &str, paths: &[String]) -> Vec<String> {
    let marker = format!("/// {invariant}: ");
    let marks = |path: &&String| {
        fs::read_to_string(root().join(&path[1..]))
            .unwrap()
            .lines()
            .any(|line| line.starts_with(&marker))
    };
    let tests = paths.iter().filter(|path| path.contains("/tests/") && path.ends_with(".rs"));
    tests.filter(marks).map(|path| path.trim_start_matches("/crates/").to_owned()).collect()
}

#[test]
fn each_invariant_is_shown_by_the_tests_that_the_map_names() {
    let mut paths = Vec::new();
    tree(&root(), &mut paths);
    let map = fs::read_to_string(root().join("crates/README.md")).unwrap();
    for invariant in KEPT {
        let row = map.lines().find(|line| line.starts_with(&format!("| {invariant} |"))).unwrap();
        let named = row.split(" | ").last().unwrap().trim_end_matches(" |");
        let mut named: Vec<String> =
            named.split(", ").map(|path| path.trim_matches('`').to_owned()).collect();
        let mut found = shown_by(invariant, &paths);
        named.sort();
        found.sort();
        assert!(!found.is_empty(), "no test shows {invariant}");
        assert_eq!(named, found, "{invariant}");
    }
}

#[test]
fn what_is_gone_is_noticed() {
    let tree = ["/crates/peer/src/lib.rs".to_owned(), "/crates/peer/src".into()];
    let text = "`peer/src` `src/{lib,gone}.rs` [here](README.md) [gone](gone.md) `a b/c` \
        ```\n`x/y.rs`\n``` `peer/tests`";
    assert_eq!(
        missing(&root().join("README.md"), text, &tree),
        ["gone.md", "src/gone.rs", "peer/tests"]
    );
}
