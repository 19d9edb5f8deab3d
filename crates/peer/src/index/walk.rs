//! Walking shares: which files there are, without following symlinks, and without holding them all
//! in memory.

use std::path::{Path, PathBuf};

use peral_model::FileName;
use peral_transfer::Stamp;
use peral_wire::ErrorCode;
use tokio::sync::mpsc;
use walkdir::{DirEntry, WalkDir};

use crate::db::shares::ShareRow;

/// Files of one chunk.
const CHUNK: usize = 1000;
/// Maximum number of paths that one walk reports as not indexable.
const MAX_UNINDEXABLE: usize = 1000;

/// A file that a walk found.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Absolute path.
    pub path: String,
    /// Its name in the catalogue.
    pub name: String,
    /// What the disk says of it.
    pub stamp: Stamp,
}

/// A path that cannot be indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unindexable {
    pub path: PathBuf,
    pub code: ErrorCode,
    /// Why, for a person.
    pub detail: String,
}

/// One walk over some paths of a share.
pub struct Walk {
    share: ShareRow,
    chunks: mpsc::Sender<Vec<Seen>>,
    chunk: Vec<Seen>,
    unindexable: Vec<Unindexable>,
}

impl Walk {
    /// A walk that sends chunks of what it finds.
    pub fn new(share: ShareRow, chunks: mpsc::Sender<Vec<Seen>>) -> Self {
        Self { share, chunks, chunk: Vec::new(), unindexable: Vec::new() }
    }

    /// Walks from these paths downwards. Blocks. Returns what cannot be indexed.
    pub fn run(mut self, from: &[PathBuf]) -> Vec<Unindexable> {
        for start in from {
            if self.is_visible(start) && !self.below(start) {
                // Nobody takes the chunks any more.
                return self.unindexable;
            }
        }
        self.send();
        self.unindexable
    }

    /// Whether nothing from the share's folder down to it is hidden or a symlink.
    fn is_visible(&self, start: &Path) -> bool {
        let Ok(below) = start.strip_prefix(&self.share.path) else { return false };
        let hidden =
            below.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."));
        let plain = |parent: &Path| parent.canonicalize().is_ok_and(|real| real == parent);
        !hidden && (start == Path::new(&self.share.path) || start.parent().is_some_and(plain))
    }

    fn below(&mut self, start: &Path) -> bool {
        let is_root = start == Path::new(&self.share.path);
        let walk = WalkDir::new(start).follow_links(false).follow_root_links(is_root).into_iter();
        for entry in walk.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry)) {
            match entry {
                Ok(entry) if entry.file_type().is_file() => self.file(&entry),
                Ok(_) => {}
                Err(error)
                    if error
                        .io_error()
                        .is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound) => {}
                Err(error) => self.leave_out(
                    error.path().unwrap_or(start).into(),
                    ErrorCode::Forbidden,
                    format!("cannot be read: {error}"),
                ),
            }
            if self.chunk.len() >= CHUNK && !self.send() {
                return false;
            }
        }
        true
    }

    fn file(&mut self, entry: &DirEntry) {
        let path = entry.path();
        let Some((path, below)) =
            path.to_str().zip(path.strip_prefix(&self.share.path).ok().and_then(Path::to_str))
        else {
            return self.leave_out(
                path.into(),
                ErrorCode::InvalidName,
                "its name is not valid UTF-8".into(),
            );
        };
        let name = match FileName::new(self.share.name_of(below)) {
            Ok(name) => name.to_string(),
            Err(error) => {
                return self.leave_out(
                    entry.path().into(),
                    ErrorCode::InvalidName,
                    error.to_string(),
                );
            }
        };
        // Deleted since it was listed: the next walk sees that.
        let Ok(found) = entry.metadata() else { return };
        self.chunk.push(Seen { path: path.to_owned(), name, stamp: Stamp::from_metadata(&found) });
    }

    fn leave_out(&mut self, path: PathBuf, code: ErrorCode, detail: String) {
        if self.unindexable.len() < MAX_UNINDEXABLE {
            self.unindexable.push(Unindexable { path, code, detail });
        }
    }

    fn send(&mut self) -> bool {
        let chunk = std::mem::take(&mut self.chunk);
        chunk.is_empty() || self.chunks.blocking_send(chunk).is_ok()
    }
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// Numbers of rows, one bit each.
#[derive(Debug, Default)]
pub struct SeenRows(Vec<u64>);

impl SeenRows {
    fn place(row: i64) -> Option<(usize, u64)> {
        Some((usize::try_from(row / 64).ok()?, 1 << u32::try_from(row % 64).ok()?))
    }

    /// Adds a number.
    pub fn add(&mut self, row: i64) {
        if let Some((word, bit)) = Self::place(row) {
            if self.0.len() <= word {
                self.0.resize(word + 1, 0);
            }
            self.0[word] |= bit;
        }
    }

    /// Whether the number was added.
    pub fn has(&self, row: i64) -> bool {
        Self::place(row)
            .is_some_and(|(word, bit)| self.0.get(word).is_some_and(|found| found & bit != 0))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use uuid::Uuid;

    use super::*;

    fn names(root: &Path, from: &[PathBuf]) -> (Vec<String>, Vec<Unindexable>) {
        let share = ShareRow {
            number: 1,
            id: Uuid::nil(),
            path: root.to_str().unwrap().into(),
            prefix: "p".into(),
            visibility: 1,
            configured: false,
        };
        let (chunks, mut found) = mpsc::channel(100);
        let unindexable = Walk::new(share, chunks).run(from);
        let mut names = Vec::new();
        while let Ok(chunk) = found.try_recv() {
            names.extend(chunk.into_iter().map(|seen| seen.name));
        }
        names.sort();
        (names, unindexable)
    }

    #[test]
    fn hidden_files_symlinks_and_special_files_are_left_out() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap().join("share");
        let outside = root.with_file_name("outside");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
        fs::create_dir(&outside).unwrap();
        for path in ["a/b/one", "two", ".hidden", ".git/config", "a/.part"] {
            fs::write(root.join(path), path).unwrap();
        }
        fs::write(outside.join("secret"), "x").unwrap();
        symlink(outside.join("secret"), root.join("link")).unwrap();
        symlink(&outside, root.join("folder")).unwrap();
        symlink(&root, root.join("a/loop")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe"), rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(names(&root, std::slice::from_ref(&root)).0, ["p/a/b/one", "p/two"]);
        // What an event names is held to the same rules.
        let hints = [
            "folder/secret",
            "folder",
            "link",
            ".git/config",
            "a/.part",
            "a/loop",
            "pipe",
            "absent",
        ];
        assert!(names(&root, &hints.map(|path| root.join(path))).0.is_empty());
        assert!(names(&root, &[outside.join("secret")]).0.is_empty());
        assert_eq!(names(&root, &[root.join("a")]).0, ["p/a/b/one"]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_invalid_name_is_reported() {
        use std::os::unix::ffi::OsStrExt;
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        fs::write(root.join(std::ffi::OsStr::from_bytes(b"bad\xff")), "x").unwrap();
        let deep = root.join(
            ["d".repeat(250), "e".repeat(250), "f".repeat(250), "g".repeat(250), "h".repeat(250)]
                .join("/"),
        );
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("file"), "x").unwrap();
        let (names, unindexable) = names(&root, std::slice::from_ref(&root));
        assert!(names.is_empty());
        assert_eq!(
            unindexable.iter().map(|path| path.code).collect::<Vec<_>>(),
            [ErrorCode::InvalidName; 2]
        );
    }

    #[test]
    fn seen_rows_are_remembered() {
        let mut seen = SeenRows::default();
        for row in [1, 64, 1_000_000] {
            seen.add(row);
        }
        let found: Vec<i64> = [0, 1, 2, 63, 64, 65, 999_999, 1_000_000, 2_000_000, -1]
            .into_iter()
            .filter(|row| seen.has(*row))
            .collect();
        assert_eq!(found, [1, 64, 1_000_000]);
    }
}
