//! Finished downloads.

use std::path::PathBuf;

use peral_model::Record;
use peral_transfer::Stamp;
use peral_wire::Sealed;

/// A finished download, for [`super::Library::adopt`].
#[derive(Debug, Clone)]
pub struct FinishedDownload {
    /// The version that it is.
    pub record: Sealed<Record>,
    /// Where it was written; absolute.
    pub path: PathBuf,
    /// What the disk says of it.
    pub stamp: Stamp,
}
