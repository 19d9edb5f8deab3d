//! A file version on this machine's disk, whole or in part, behind one handle: what serves others
//! reads from it, and what a fetch writes shows in it.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use peral_model::{
    Bitmap, Record,
    pieces::{self, PIECE, PieceHasher},
};
use peral_wire::{Failure, Sealed, fail};
use tokio::sync::watch;

use crate::{disk::open_plain, lists::PieceList, stamp::Stamp};

/// How much of the version is there.
#[derive(Debug)]
enum State {
    /// All of it, for as long as the file looks as it did when it was hashed.
    Whole(Stamp),
    /// The pieces that a fetch has verified until now.
    Partial { list: PieceList, have: watch::Receiver<Bitmap> },
}

/// An open file version.
#[derive(Debug)]
pub struct Holder {
    record: Sealed<Record>,
    file: File,
    state: State,
}

impl Holder {
    /// Opens a version that was hashed when the file at this path, which is absolute, looked like
    /// `stamp`. Follows no symlink. Blocks.
    ///
    /// # Errors
    /// CHANGED when it is gone or looks otherwise now.
    pub fn whole(record: Sealed<Record>, path: &Path, stamp: Stamp) -> Result<Self, Failure> {
        let file = open_plain(path).map_err(|error| {
            changed(&record.value, Some(path), &format!("cannot be opened: {error}"))
        })?;
        let this = Self { record, file, state: State::Whole(stamp) };
        this.check()?;
        Ok(this)
    }

    /// What a fetch writes: the open file, the piece list that its pieces are verified by, and those
    /// that were, as they come.
    pub fn partial(
        record: Sealed<Record>,
        file: File,
        list: PieceList,
        have: watch::Receiver<Bitmap>,
    ) -> Self {
        Self { record, file, state: State::Partial { list, have } }
    }

    /// Its record.
    pub fn record(&self) -> &Sealed<Record> {
        &self.record
    }

    /// The piece list that is known with it: that of a partial one.
    pub fn list(&self) -> Option<&PieceList> {
        match &self.state {
            State::Whole(_) => None,
            State::Partial { list, .. } => Some(list),
        }
    }

    /// The pieces that are here, as they come; of a whole version, nothing: all are.
    pub fn have(&self) -> Option<watch::Receiver<Bitmap>> {
        match &self.state {
            State::Whole(_) => None,
            State::Partial { have, .. } => Some(have.clone()),
        }
    }

    /// Whether a piece is here.
    pub fn has(&self, index: u64) -> bool {
        match &self.state {
            State::Whole(_) => index < pieces::count(self.record.value.content.size),
            State::Partial { have, .. } => have.borrow().get(index),
        }
    }

    /// The file, for reading at offsets.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Whether a whole version is still what was hashed. [`Self::read`] asks this too.
    ///
    /// # Errors
    /// CHANGED.
    pub fn check(&self) -> Result<(), Failure> {
        let State::Whole(stamp) = &self.state else { return Ok(()) };
        match Stamp::of(&self.file) {
            Ok(found) if found == *stamp => Ok(()),
            Ok(_) => Err(changed(&self.record.value, None, "has another size, time or inode")),
            Err(error) => Err(changed(&self.record.value, None, &error.to_string())),
        }
    }

    /// Reads a piece into a buffer of its length. Blocks.
    ///
    /// # Errors
    /// NOT_FOUND for a piece that is not here yet; CHANGED when the file is not what was hashed;
    /// INTERNAL when the disk fails.
    pub fn read(&self, index: u64, buffer: &mut [u8]) -> Result<(), Failure> {
        let name = &self.record.value.name;
        if !self.has(index) {
            return Err(fail!(NotFound, "piece {index} of {name} is not on this peer yet"));
        }
        let read = self.file.read_exact_at(buffer, index * PIECE);
        // After the read: what changed meanwhile is noticed. A shorter file has another size, so
        // this comes before the reading's own error.
        self.check()?;
        read.map_err(|error| {
            fail!(Internal, "piece {index} of {name} cannot be read on this peer: {error}")
        })
    }

    /// Whether these bytes are the piece, by its entry in the list.
    ///
    /// # Errors
    /// INTEGRITY when they are not; INTERNAL when the list cannot be read.
    pub fn prove(&self, index: u64, bytes: &[u8], list: &PieceList) -> Result<(), Failure> {
        let mut hasher = PieceHasher::new(list.content().size, index);
        hasher.update(bytes);
        let expected = list
            .entry(index)
            .map_err(|error| fail!(Internal, "the piece list cannot be read: {error}"))?;
        if hasher.finish() == Some(expected) {
            return Ok(());
        }
        let name = &self.record.value.name;
        Err(fail!(
            Integrity,
            "piece {index} of {name} was damaged on this peer's disk; ask another"
        ))
    }
}

/// Callers over the network never see a path: it stays in the log here.
fn changed(record: &Record, path: Option<&Path>, how: &str) -> Failure {
    tracing::debug!(name = %record.name, ?path, how, "a held file is no longer what was indexed");
    fail!(
        Changed,
        "the copy of {} on this peer changed since it was indexed; ask another",
        record.name
    )
}
