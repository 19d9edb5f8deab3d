//! What a disk refuses, in words for people.

use std::{io, path::Path};

use peral_wire::{Failure, fail};

/// What the disk says to `what` (a verb) at this path, as a failure of ours.
pub fn failed(what: &'static str, path: &Path) -> impl Fn(io::Error) -> Failure {
    let path = path.display().to_string();
    move |error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            fail!(NoSpace, "no room left to {what} {path}: {error}")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            fail!(Forbidden, "not allowed to {what} {path}: {error}")
        }
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::InvalidFilename => {
            fail!(InvalidArgument, "cannot {what} {path}: {error}; choose another path")
        }
        _ => fail!(Internal, "cannot {what} {path}: {error}"),
    }
}
