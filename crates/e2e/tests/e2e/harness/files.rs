//! Files to move, and what another program says their BLAKE3 is.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use peral_testkit::sample;

use super::{run, settings};

/// A file of bytes that look like nothing, the same for each seed. It is kept for the tests that
/// come later.
pub fn noise_file(seed: &str, size: usize) -> PathBuf {
    let folder = settings().logs.join("files");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{seed}-{size}"));
    if fs::metadata(&path).map(|facts| facts.len()).ok() != Some(u64::try_from(size).unwrap()) {
        sample::noise_file(&path, seed, size);
    }
    path
}

/// BLAKE3 of a file here, by b3sum.
pub fn b3sum(path: &Path) -> String {
    let mut command = Command::new(&settings().b3sum);
    command.arg("--no-names").arg(path);
    run(command).success().out.trim().to_owned()
}

/// BLAKE3 of what a command writes to stdout, by b3sum, so that the bytes themselves leave the
/// cluster.
pub fn piped_b3sum(mut command: Command) -> String {
    let mut source = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = source.stdout.take().unwrap();
    let sum = Command::new(&settings().b3sum).arg("--no-names").stdin(stdout).output().unwrap();
    assert!(source.wait().unwrap().success(), "the bytes did not come out of the pod");
    assert!(sum.status.success(), "{}", String::from_utf8_lossy(&sum.stderr));
    String::from_utf8(sum.stdout).unwrap().trim().to_owned()
}

/// A file for standard input.
pub(super) fn open(path: &Path) -> Stdio {
    File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}
