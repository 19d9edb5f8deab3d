//! A file version on this peer's disk, and whether it is still what was indexed.

use std::{fs::File, path::PathBuf};

use peral_model::Record;
use peral_transfer::{Stamp, disk::open_plain};
use peral_wire::{Failure, Sealed, fail};

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
