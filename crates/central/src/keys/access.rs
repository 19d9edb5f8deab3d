//! Checks who can read and change the keys, before they are used.

use std::{fs, io::ErrorKind, os::unix::fs::MetadataExt, path::Path};

use peral_wire::{Failure, fail};

use super::files::failed;

/// Permission bits: others may write; and only owners may replace entries of a folder.
const OPEN: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// It belongs to this user, or to root, who can read everything anyway.
fn trusted_owner(path: &Path, meta: &fs::Metadata) -> Result<(), Failure> {
    let (me, owner) = (rustix::process::geteuid().as_raw(), meta.uid());
    if owner == me || owner == 0 {
        return Ok(());
    }
    let shown = path.display();
    Err(fail!(
        InvalidArgument,
        "{shown} belongs to user {owner}, who could change central's keys; it must belong to user \
         {me}, who runs central, or to root"
    ))
}

/// Only this user may read or write it.
pub(super) fn private(path: &Path) -> Result<(), Failure> {
    let meta = fs::metadata(path).map_err(|error| failed(path, "cannot be read", &error))?;
    trusted_owner(path, &meta)?;
    let shown = path.display();
    if meta.mode() & 0o077 != 0 {
        let mode = meta.mode() & 0o777;
        let right = if meta.is_dir() { "700" } else { "600" };
        return Err(fail!(
            InvalidArgument,
            "{shown} is open to other users (mode {mode:03o}), but it holds central's keys; run \
             chmod {right} {shown}"
        ));
    }
    Ok(())
}

/// Only root and this user may replace entries of the folder. Kubernetes mounts a Secret in a
/// folder that everybody may write to, but that has the sticky bit.
pub(super) fn given_folder(path: &Path) -> Result<(), Failure> {
    let meta = metadata(path)?;
    trusted_owner(path, &meta)?;
    let mode = meta.mode();
    if mode & OPEN != 0 && mode & STICKY == 0 {
        let (shown, mode) = (path.display(), mode & 0o7777);
        return Err(fail!(
            InvalidArgument,
            "{shown} can be written to by every user (mode {mode:04o}), who could change \
             central's keys; run chmod o-w {shown}"
        ));
    }
    Ok(())
}

/// Only root and this user may change the file. If it is secret, of all others only its group may
/// read it.
pub(super) fn given_file(path: &Path, secret: bool) -> Result<(), Failure> {
    let meta = metadata(path)?;
    trusted_owner(path, &meta)?;
    let real = path.canonicalize().map_err(|error| failed(path, "cannot be read", &error))?;
    real.parent().map_or(Ok(()), given_folder)?;
    let (shown, mode) = (path.display(), meta.mode() & 0o777);
    if secret && mode & 0o007 != 0 {
        return Err(fail!(
            InvalidArgument,
            "{shown} is open to every user (mode {mode:04o}), but it holds one of central's keys; \
             mount the Secret with defaultMode 0440, or run chmod 640 {shown}"
        ));
    }
    if mode & 0o022 != 0 {
        return Err(fail!(
            InvalidArgument,
            "{shown} can be changed by other users (mode {mode:04o}), but central trusts it; run \
             chmod go-w {shown}"
        ));
    }
    Ok(())
}

fn metadata(path: &Path) -> Result<fs::Metadata, Failure> {
    fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            fail!(
                InvalidArgument,
                "{} does not exist; create a Secret with all keys with `peral central keys`, and \
                 mount it at the folder that --keys names",
                path.display()
            )
        }
        _ => failed(path, "cannot be read", &error),
    })
}
