//! Folders.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, FileTypeExt},
    path::Path,
};

/// Copies a data folder, as a volume's snapshot does.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::DirBuilder::new().mode(0o700).create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target);
        } else if !kind.is_socket() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
