//! What must be true of a folder that somebody else filled before its keys are used.

use std::{fs, io::ErrorKind, os::unix::fs::MetadataExt, path::Path};

use peral_wire::{Failure, fail};

use super::{at, trusted_owner};

/// Others may write, and whoever may write may also replace what is not theirs.
const OPEN: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Nobody but root and this user may replace what is in it. A Secret is mounted in a folder that
/// everybody may write to, but for its sticky bit.
pub(super) fn folder(path: &Path) -> Result<(), Failure> {
    let meta = metadata(path)?;
    trusted_owner(path, &meta)?;
    let mode = meta.mode();
    if mode & OPEN != 0 && mode & STICKY == 0 {
        let (shown, mode) = (path.display(), mode & 0o7777);
        return Err(fail!(
            InvalidArgument,
            "{shown} can be written to by every user (mode {mode:04o}), who could change \
             central's keys: chmod o-w {shown}"
        ));
    }
    Ok(())
}

/// Nobody but root and this user may change it; of others only its group may read it, if it is
/// secret.
pub(super) fn file(path: &Path, secret: bool) -> Result<(), Failure> {
    let meta = metadata(path)?;
    trusted_owner(path, &meta)?;
    let real = path.canonicalize().map_err(|error| at(path, "cannot be read", &error))?;
    real.parent().map_or(Ok(()), folder)?;
    let (shown, mode) = (path.display(), meta.mode() & 0o777);
    if secret && mode & 0o007 != 0 {
        return Err(fail!(
            InvalidArgument,
            "{shown} is open to every user (mode {mode:04o}); it holds one of central's keys: \
             mount the Secret with defaultMode 0440, or chmod 640 {shown}"
        ));
    }
    if mode & 0o022 != 0 {
        return Err(fail!(
            InvalidArgument,
            "{shown} can be changed by other users (mode {mode:04o}); central trusts it: chmod \
             go-w {shown}"
        ));
    }
    Ok(())
}

fn metadata(path: &Path) -> Result<fs::Metadata, Failure> {
    fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            fail!(
                InvalidArgument,
                "{} is not there: `peral central keys` makes a Secret with all keys, to be \
                 mounted where --keys says",
                path.display()
            )
        }
        _ => at(path, "cannot be read", &error),
    })
}
