//! Indexing: hashing files and keeping their piece lists, against `b3sum` on the same files.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use peral_transfer::lists::ListStore;

use crate::{
    process::{run, settle},
    report::{median, print},
    transfer::random_file,
};

const MIB: u64 = 1 << 20;
const RUNS: usize = 5;

pub fn measure(scratch: &Path) {
    let folder = scratch.join("index");
    fs::create_dir_all(&folder).expect("a folder");
    compare("index.one", "1 GiB in one file", &files(&folder, 1, 1024 * MIB), scratch);
    compare("index.many", "64 files of 16 MiB", &files(&folder, 64, 16 * MIB), scratch);
}

fn files(folder: &Path, count: u64, size: u64) -> Vec<PathBuf> {
    let make = |i| {
        let path = folder.join(format!("{size}-{i}.bin"));
        random_file(&path, size, i);
        path
    };
    (0..count).map(make).collect()
}

fn compare(name: &str, what: &str, files: &[PathBuf], scratch: &Path) {
    let bytes: u64 = files.iter().map(|file| fs::metadata(file).map_or(0, |meta| meta.len())).sum();
    let lists = scratch.join("lists");
    let ours = || {
        let _ = fs::remove_dir_all(&lists);
        let store = ListStore::new(&lists).expect("a folder");
        settle();
        let start = Instant::now();
        for path in files {
            let file = File::open(path).expect("the file");
            let size = file.metadata().expect("its size").len();
            store.hash(&file, size).expect("hashing");
        }
        start.elapsed().as_secs_f64()
    };
    let theirs = || {
        settle();
        run(Command::new("b3sum").args(files)).wall
    };
    // In turn, so that a change of the machine's speed meets both.
    let runs: Vec<(f64, f64)> = (0..=RUNS).map(|_| (ours(), theirs())).skip(1).collect();
    let rate = |seconds: Vec<f64>| bytes as f64 / MIB as f64 / median(seconds);
    let (ours, theirs) = runs.into_iter().unzip();
    let (ours, theirs) = (rate(ours), rate(theirs));
    print(name, ours, &format!("MiB/s, {what}"), "b3sum", theirs);
}
