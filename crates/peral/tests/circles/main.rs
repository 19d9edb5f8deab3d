//! The files of a crate import from each other without circles, and never from a higher layer:
//! checks the sources, as `layers.rs` checks the dependencies between crates.
#![expect(clippy::unwrap_used, reason = "tests")]

mod arrows;
mod graph;
mod modules;
mod planted;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use arrows::Arrow;
use modules::Modules;

/// Layers within a crate, the highest first: a file of one takes nothing from a higher one.
const LAYERS: &[(&str, &[&str])] = &[("central", &["http", "service", "store"])];

/// The root of each crate that has one; the cluster tests have none.
fn roots() -> Vec<(String, PathBuf)> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir(crates).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        for root in ["lib.rs", "main.rs"] {
            let root = entry.path().join("src").join(root);
            if root.exists() {
                found.push((name.clone(), root));
            }
        }
    }
    found
}

/// The arrows of the crate with this root, with paths from its folder.
fn read(root: &Path) -> BTreeSet<Arrow> {
    let folder = root.parent().unwrap();
    let modules = Modules::read(Path::new(root.file_name().unwrap()), &|path| {
        fs::read_to_string(folder.join(path)).ok()
    });
    arrows::arrows(&modules)
}

/// The circles of a crate in words, each with its arrows.
fn circles(arrows: &BTreeSet<Arrow>) -> Vec<String> {
    let words =
        |circle: Vec<&Arrow>| circle.iter().map(|arrow| format!("  {arrow}\n")).collect::<String>();
    graph::circles(arrows).into_iter().map(words).collect()
}

/// The arrows that point upwards between these layers.
fn upward(arrows: &BTreeSet<Arrow>, layers: &[&str]) -> Vec<String> {
    let layer = |file: &Path| {
        let first = file.with_extension("").components().next()?.as_os_str().to_owned();
        layers.iter().position(|layer| **layer == first)
    };
    let up = |arrow: &&Arrow| match (layer(&arrow.from), layer(&arrow.to)) {
        (Some(from), Some(to)) => to < from,
        _ => false,
    };
    arrows.iter().filter(up).map(ToString::to_string).collect()
}

#[test]
fn there_is_no_circle_between_files() {
    let roots = roots();
    assert!(roots.len() >= 6, "the crates were not found: {roots:?}");
    let mut found = String::new();
    for (name, root) in &roots {
        let arrows = read(root);
        assert!(!arrows.is_empty(), "no arrow in {name}: it was not read");
        for circle in circles(&arrows) {
            found.push_str(&format!("a circle in {name}:\n{circle}"));
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn layers_within_a_crate_take_nothing_from_above() {
    let roots = roots();
    for (name, layers) in LAYERS {
        let (_, root) = roots.iter().find(|(found, _)| found == name).unwrap();
        assert_eq!(upward(&read(root), layers), Vec::<String>::new(), "in {name}");
    }
}
