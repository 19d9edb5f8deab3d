//! What a disk says of a file, to see whether it has changed.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt,
};

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
