//! The file that is uploaded: open, and to stay as it is.

use std::{fs::File, path::Path};

use peral_wire::{Failure, fail};

use crate::stamp::Stamp;

/// An open file that is to stay as it is.
pub(super) struct Sending {
    pub file: File,
    pub stamp: Stamp,
    pub shown: String,
}

impl Sending {
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let file = File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => fail!(NotFound, "there is no file {shown}"),
            _ => fail!(InvalidArgument, "{shown} cannot be read: {error}"),
        })?;
        let found =
            file.metadata().map_err(|error| fail!(Internal, "{shown} cannot be read: {error}"))?;
        if !found.is_file() {
            return Err(fail!(InvalidArgument, "{shown} is not a regular file"));
        }
        Ok(Self { stamp: Stamp::from_metadata(&found), file, shown })
    }

    /// Refuses a file that is no longer what it was at the start.
    pub fn check(&self) -> Result<(), Failure> {
        match Stamp::of(&self.file) {
            Ok(stamp) if stamp == self.stamp => Ok(()),
            _ => Err(fail!(
                Changed,
                "{} was changed while it was uploaded; try again when nobody writes it",
                self.shown
            )),
        }
    }
}
