//! Files that look as a test needs them.

use std::{
    fs::{self, File, FileTimes},
    os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Long enough ago that an indexer does not wait for more to be written.
const A_WHILE: Duration = Duration::from_secs(60);

/// Writes a file that looks as if it had been left alone for a while: an indexer takes it at once.
///
/// # Panics
/// It cannot be written.
pub fn write_settled(path: &Path, bytes: &[u8]) -> PathBuf {
    write_dated(path, bytes, A_WHILE)
}

/// The same with another age.
///
/// # Panics
/// It cannot be written.
pub fn write_dated(path: &Path, bytes: &[u8], age: Duration) -> PathBuf {
    write_then(path, bytes, |written| written - age)
}

/// The same with this date.
///
/// # Panics
/// It cannot be written.
pub fn write_at(path: &Path, bytes: &[u8], date: SystemTime) -> PathBuf {
    write_then(path, bytes, |_| date)
}

/// The file appears whole, with its date.
fn write_then(path: &Path, bytes: &[u8], date: impl Fn(SystemTime) -> SystemTime) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let temp = path.with_file_name(".being-written");
    fs::write(&temp, bytes).unwrap();
    change_date(&temp, date);
    fs::rename(&temp, path).unwrap();
    path.to_owned()
}

/// Moves the date of a file into the past.
///
/// # Panics
/// There is no such file.
pub fn make_older(path: &Path, by: Duration) {
    change_date(path, |before| before - by);
}

fn change_date(path: &Path, change: impl Fn(SystemTime) -> SystemTime) {
    let file = File::options().write(true).open(path).unwrap();
    let before = file.metadata().unwrap().modified().unwrap();
    file.set_modified(change(before)).unwrap();
}

/// Changes one bit as a bad disk does: the file's dates and size stay.
///
/// # Panics
/// There is no such byte.
pub fn flip_bit(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let before = file.metadata().unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
    let times = FileTimes::new()
        .set_accessed(before.accessed().unwrap())
        .set_modified(before.modified().unwrap());
    file.set_times(times).unwrap();
}

/// Copies a data folder, as a volume's snapshot does.
///
/// # Panics
/// It cannot be copied.
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
