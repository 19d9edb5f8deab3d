//! Circles in a graph.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::arrows::Arrow;

/// The arrows of each circle: of every set of files that all reach each other.
pub fn circles(arrows: &BTreeSet<Arrow>) -> Vec<Vec<&Arrow>> {
    let mut next = BTreeMap::<&Path, BTreeSet<&Path>>::new();
    for arrow in arrows {
        next.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    let reached: BTreeMap<&Path, BTreeSet<&Path>> =
        next.keys().map(|file| (*file, reach(&next, file))).collect();
    let both = |a: &Path, b: &Path| {
        let to = |a: &Path, b: &Path| reached.get(a).is_some_and(|all| all.contains(b));
        to(a, b) && to(b, a)
    };
    let mut found = BTreeMap::<PathBuf, Vec<&Arrow>>::new();
    for arrow in arrows.iter().filter(|arrow| both(&arrow.from, &arrow.to)) {
        // The first file of a circle names it.
        let first = next.keys().find(|file| both(file, &arrow.from));
        let first = first.map_or_else(|| arrow.from.clone(), |file| (*file).to_owned());
        found.entry(first).or_default().push(arrow);
    }
    found.into_values().collect()
}

/// The files that `file` reaches by one arrow or more.
fn reach<'a>(next: &BTreeMap<&'a Path, BTreeSet<&'a Path>>, file: &Path) -> BTreeSet<&'a Path> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![file]);
    while let Some(file) = open.pop() {
        for to in next.get(file).into_iter().flatten() {
            if seen.insert(*to) {
                open.push(to);
            }
        }
    }
    seen
}
