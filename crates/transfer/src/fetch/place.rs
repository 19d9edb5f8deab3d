//! The last step of a download: the whole file under its name, durable, and nothing of others
//! overwritten.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::FileTypeExt,
    path::Path,
};

use peral_wire::{Failure, fail};

use super::request::{FetchRequest, Fetched};
use crate::{
    blocking::blocking,
    disk::{self, Disk, Existing, failed},
    hashing,
    stamp::Stamp,
};

/// How a file is put in place.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// Replace a file that is there.
    pub overwrite: bool,
    /// Nobody else may read it.
    pub private: bool,
}

/// Refuses a target that is taken, before anything is asked of anybody; where it is the very file
/// that is wanted, there is nothing to do.
pub(super) async fn already_there(request: &FetchRequest) -> Result<Option<Fetched>, Failure> {
    let (path, overwrite, record) =
        (request.path.clone(), request.overwrite, request.record.clone());
    let content = record.value.content;
    blocking(move || {
        let Some(found) = there(&path)? else { return Ok(None) };
        if found.len() == content.size {
            let file = File::open(&path).map_err(failed("read", &path))?;
            let hash = hashing::hash_file(&file, content.size, |_| Ok(()))
                .map_err(failed("read", &path))?;
            if hash == content.hash {
                let stamp = Stamp::of(&file).map_err(failed("read", &path))?;
                return Ok(Some(Fetched {
                    path,
                    stamp,
                    content,
                    record,
                    bytes_fetched: 0,
                    bytes_wasted: 0,
                }));
            }
        }
        if overwrite { Ok(None) } else { Err(taken(&path)) }
    })
    .await
}

/// What is at a target: a regular file or nothing. A device, a pipe or a symlink is never replaced,
/// whatever may be overwritten.
fn there(path: &Path) -> Result<Option<Metadata>, Failure> {
    // What cannot be looked at cannot be written either, and that is told with its reason.
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(None) };
    let shown = path.display();
    if found.is_dir() {
        return Err(fail!(AlreadyExists, "{shown} is a folder; give the path of a file in it"));
    }
    let kind = found.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(Some(found)),
        () if kind.is_symlink() => "a symlink",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(fail!(
        InvalidArgument,
        "{shown} is {what}, and only a regular file can be replaced; choose another path"
    ))
}

fn taken(path: &Path) -> Failure {
    fail!(
        AlreadyExists,
        "{} is there already and holds something else; choose another path, or say that it may be \
         overwritten",
        path.display()
    )
}

/// Makes `part` durable and gives it the name `target`. A private file is for its owner only.
pub(super) fn put(
    disk: &Disk,
    file: &File,
    part: &Path,
    target: &Path,
    folder: &Path,
    how: How,
) -> Result<(), Failure> {
    let mode = if how.private { 0o600 } else { disk::mode_of_new_files() };
    disk.finish(file, mode).map_err(failed("write", part))?;
    let existing = if how.overwrite {
        there(target)?;
        Existing::Replace
    } else {
        Existing::Keep
    };
    disk.rename(part, target, existing).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists if !how.overwrite => taken(target),
        _ => failed("write", target)(error),
    })?;
    disk.sync_folder(folder).map_err(failed("write", folder))
}
