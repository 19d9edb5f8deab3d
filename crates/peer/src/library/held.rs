//! A file version on this peer's disk, and whether it is still what was indexed.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use peral_model::Record;
use peral_wire::{Failure, Sealed, fail};

/// What a disk says of a file: while it stays, its content is taken to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Time of the last change, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Inode.
    pub inode: u64,
    /// Device that the inode is of.
    pub device: u64,
}

impl Stamp {
    /// The stamp of an open file.
    ///
    /// # Errors
    /// The system refuses.
    pub fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|found| Self::from_metadata(&found))
    }

    /// The stamp in what the system said of a file.
    pub fn from_metadata(found: &Metadata) -> Self {
        let mtime_ns =
            found.mtime().saturating_mul(1_000_000_000).saturating_add(found.mtime_nsec());
        Self { size: found.len(), mtime_ns, inode: found.ino(), device: found.dev() }
    }
}

/// A file version that this peer holds whole.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its record, with the highest serial known here.
    pub record: Sealed<Record>,
    /// Where it is: absolute, without symlinks.
    pub path: PathBuf,
    /// What the disk said of it when it was hashed.
    pub stamp: Stamp,
    /// A download wrote it.
    pub fetched: bool,
}

impl Held {
    /// Opens it for reading, through no symlink. Blocks for as long as an open takes.
    ///
    /// # Errors
    /// CHANGED when it is gone or not what was indexed.
    pub fn open(&self) -> Result<HeldFile, Failure> {
        let file = open_plain(&self.path)
            .map_err(|error| self.changed(&format!("cannot be opened: {error}")))?;
        let held = HeldFile { file, held: self.clone() };
        held.check()?;
        Ok(held)
    }

    fn changed(&self, how: &str) -> Failure {
        // The path stays here: callers over the network never see one.
        tracing::debug!(path = %self.path.display(), how, "a held file is no longer what was indexed");
        fail!(
            Changed,
            "the copy of {} on this peer changed since it was indexed; ask another",
            self.record.value.name
        )
    }
}

/// An open file version.
#[derive(Debug)]
pub struct HeldFile {
    file: File,
    held: Held,
}

impl HeldFile {
    /// The file, for reading at offsets.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What is open.
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// Is it still what was indexed? To be asked before each piece.
    ///
    /// # Errors
    /// CHANGED.
    pub fn check(&self) -> Result<(), Failure> {
        match Stamp::of(&self.file) {
            Ok(stamp) if stamp == self.held.stamp => Ok(()),
            Ok(_) => Err(self.held.changed("has another size, time or inode")),
            Err(error) => Err(self.held.changed(&error.to_string())),
        }
    }
}

/// Opens an absolute path for reading, through no symlink, if it is a regular file. Never waits for
/// a pipe.
///
/// # Errors
/// The system refuses, or it is something else.
pub fn open_plain(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    #[cfg(target_os = "linux")]
    let opened = match rustix::fs::openat2(
        rustix::fs::CWD,
        path,
        flags,
        Mode::empty(),
        rustix::fs::ResolveFlags::NO_SYMLINKS,
    ) {
        // Old kernels and strict sandboxes do not know the call; the last segment is guarded even
        // so, and the stamp guards the rest.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {
            rustix::fs::open(path, flags, Mode::empty())
        }
        opened => opened,
    };
    #[cfg(not(target_os = "linux"))]
    let opened = rustix::fs::open(path, flags, Mode::empty());
    let file = File::from(opened?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_plain_files_are_opened() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        fs::create_dir(root.join("real")).unwrap();
        fs::write(root.join("real/file"), b"x").unwrap();
        std::os::unix::fs::symlink(root.join("real"), root.join("linked")).unwrap();
        std::os::unix::fs::symlink(root.join("real/file"), root.join("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe"), rustix::fs::Mode::RUSR).unwrap();
        assert!(open_plain(&root.join("real/file")).is_ok());
        for name in ["link", "linked/file", "pipe", "real", "absent"] {
            assert!(open_plain(&root.join(name)).is_err(), "{name}");
        }
    }
}
