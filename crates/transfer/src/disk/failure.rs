//! What a disk refuses, in words for people.

use std::{io, path::Path};

use peral_wire::{Failure, fail};

/// Whether the disk, or what this user may have of it, is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The failure when the disk refuses to `what` (a verb) at this path.
pub fn failed(what: &'static str, path: &Path) -> impl Fn(io::Error) -> Failure {
    let path = path.display().to_string();
    move |error| match error.kind() {
        _ if is_full(&error) => fail!(NoSpace, "no room left to {what} {path}: {error}"),
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

/// The failure when the disk of this peer refuses to `what` (a verb and its object), for callers on
/// other machines: it names no path, and is never their mistake.
pub fn refused(what: &'static str) -> impl Fn(io::Error) -> Failure {
    move |error| {
        if is_full(&error) {
            fail!(NoSpace, "the disk of this peer is full; it cannot {what}: {error}")
        } else {
            fail!(Internal, "this peer cannot {what}: {error}")
        }
    }
}

#[cfg(test)]
mod tests {
    use peral_wire::ErrorCode;

    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_and_only_people_here_see_a_path() {
        let path = Path::new("/data/file");
        for (kind, here, elsewhere) in [
            (io::ErrorKind::StorageFull, ErrorCode::NoSpace, ErrorCode::NoSpace),
            (io::ErrorKind::QuotaExceeded, ErrorCode::NoSpace, ErrorCode::NoSpace),
            (io::ErrorKind::PermissionDenied, ErrorCode::Forbidden, ErrorCode::Internal),
            (io::ErrorKind::NotFound, ErrorCode::InvalidArgument, ErrorCode::Internal),
            (io::ErrorKind::Other, ErrorCode::Internal, ErrorCode::Internal),
        ] {
            assert_eq!(is_full(&kind.into()), here == ErrorCode::NoSpace);
            let (here_told, told) =
                (failed("write", path)(kind.into()), refused("write it")(kind.into()));
            assert_eq!((here_told.code, told.code), (here, elsewhere), "{kind}");
            assert!(
                here_told.detail.contains("/data/file") && !told.detail.contains('/'),
                "{told}"
            );
        }
    }
}
