//! The last step of a download: the whole file under its name, durable, and nothing of others
//! overwritten.

use std::{
    fs::{self, File, Metadata, Permissions},
    io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
};

use peral_wire::{Failure, fail};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::request::{FetchRequest, Fetched};
use crate::{
    blocking::blocking,
    disk::{failed, sync_folder},
    hashing,
    stamp::Stamp,
};

/// What a new file gets where the process's mask is not known.
const USUAL_MODE: u32 = 0o644;

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
    file: &File,
    part: &Path,
    target: &Path,
    folder: &Path,
    how: How,
) -> Result<(), Failure> {
    let mode = if how.private { 0o600 } else { mode_of_new_files() };
    file.set_permissions(Permissions::from_mode(mode)).map_err(failed("write", part))?;
    file.sync_all().map_err(failed("write", part))?;
    if how.overwrite {
        there(target)?;
        fs::rename(part, target).map_err(failed("write", target))?;
    } else {
        rename_to_free(part, target)?;
    }
    sync_folder(folder).map_err(failed("write", folder))
}

fn rename_to_free(part: &Path, target: &Path) -> Result<(), Failure> {
    match renameat_with(CWD, part, CWD, target, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(taken(target)),
        // Not every file system can. A hard link is made only where nothing is.
        Err(_) => match fs::hard_link(part, target) {
            Ok(()) => fs::remove_file(part).map_err(failed("remove", part)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(taken(target)),
            Err(error) => Err(failed("write", target)(error)),
        },
    }
}

/// What the user's mask leaves of rw-rw-rw-. Reading the mask by the system call would change it
/// for a moment, for all threads.
fn mode_of_new_files() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))
        .and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok());
    mask.map_or(USUAL_MODE, |mask| 0o666 & !mask)
}
