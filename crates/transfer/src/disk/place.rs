//! A whole file under its name: durable, and in the place of nothing that it may not replace.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{fd::BorrowedFd, unix::fs::PermissionsExt},
    path::Path,
};

use rustix::fs::{AtFlags, CWD, RenameFlags, linkat, renameat, renameat_with, unlinkat};

use super::handle::{Disk, Operation};

/// What a new file gets where the process's mask is not known.
const USUAL_MODE: u32 = 0o644;

/// What happens to a file that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and the other file does not get the name.
    Keep,
    /// The other file takes its place.
    Replace,
}

impl Disk {
    /// Gives a file its mode, and makes it durable.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn finish(&self, file: &File, mode: u32) -> io::Result<()> {
        file.set_permissions(Permissions::from_mode(mode))?;
        self.sync(file)
    }

    /// Gives a file another name on the same volume.
    ///
    /// # Errors
    /// `AlreadyExists` where the name is taken by what is to stay; otherwise the disk refuses.
    pub fn rename(&self, from: &Path, to: &Path, existing: Existing) -> io::Result<()> {
        self.rename_in(CWD, from, to, existing)
    }

    /// The same, where the paths begin at an open folder.
    pub(super) fn rename_in(
        &self,
        folder: BorrowedFd<'_>,
        from: &Path,
        to: &Path,
        existing: Existing,
    ) -> io::Result<()> {
        self.begin(Operation::Rename)?;
        if existing == Existing::Replace {
            return Ok(renameat(folder, from, folder, to)?);
        }
        match renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(taken @ rustix::io::Errno::EXIST) => Err(taken.into()),
            // Not every file system can. A hard link is made only where nothing is.
            Err(_) => {
                linkat(folder, from, folder, to, AtFlags::empty())?;
                Ok(unlinkat(folder, from, AtFlags::empty())?)
            }
        }
    }

    /// Makes the entries of a folder durable.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.begin(Operation::SyncFolder)?;
        File::open(folder)?.sync_all()
    }
}

/// What the user's mask leaves of rw-rw-rw-. Reading the mask by the system call would change it
/// for a moment, for all threads.
pub fn mode_of_new_files() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))
        .and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok());
    mask.map_or(USUAL_MODE, |mask| 0o666 & !mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_from_another_file_only_where_that_is_meant() {
        let temp = tempfile::tempdir().unwrap();
        let (new, name) = (temp.path().join("new"), temp.path().join("name"));
        let (disk, put) = (Disk::default(), |bytes: &[u8]| fs::write(&new, bytes).unwrap());
        put(b"one");
        disk.rename(&new, &name, Existing::Keep).unwrap();
        put(b"two");
        let refused = disk.rename(&new, &name, Existing::Keep).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&name).unwrap(), new.exists()), (b"one".to_vec(), true));
        disk.rename(&new, &name, Existing::Replace).unwrap();
        assert_eq!((fs::read(&name).unwrap(), new.exists()), (b"two".to_vec(), false));
        disk.sync_folder(temp.path()).unwrap();
    }
}
