//! Bytes that a command beside this peer reads from somewhere and writes into the data folder, for
//! an upload: taken over without a copy.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
    time::Duration,
};

use tempfile::TempPath;

use crate::data::{DataDir, UPLOADS};

/// How the names of these files begin; those of uploads are ids.
const PREFIX: &str = "stdin-";
/// A younger file may be about to be locked.
const YOUNG: Duration = Duration::from_secs(60);

/// A file in the data folder that is being written, locked as long as this lives. Dropped, it goes,
/// unless the peer took it over.
#[derive(Debug)]
pub struct Spool {
    file: File,
    path: TempPath,
}

impl Spool {
    /// A new one, empty, in the data folder of a peer that runs.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(data: &Path) -> io::Result<Self> {
        let made = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempfile_in(data.canonicalize()?.join(UPLOADS))?;
        let (file, path) = made.into_parts();
        match file.try_lock() {
            Ok(()) => Ok(Self { file, path }),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// For writing.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What to name to the peer.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether this is such a file of this data folder.
pub(crate) fn is_spooled(data: &DataDir, path: &Path) -> bool {
    path.parent() == Some(&data.uploads())
        && path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(PREFIX))
}

/// Whether it is one whose command has died.
pub(crate) fn is_abandoned(path: &Path) -> bool {
    let spooled = path
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with(PREFIX));
    spooled && File::open(path).and_then(|file| unlocked_and_old(&file)).unwrap_or(false)
}

fn unlocked_and_old(file: &File) -> io::Result<bool> {
    let age = file.metadata()?.modified()?.elapsed().unwrap_or_default();
    Ok(age > YOUNG && file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_its_writers_until_that_is_gone() {
        let temp = tempfile::tempdir().unwrap();
        let data = DataDir::open(&temp.path().join("data")).unwrap();
        let spool = Spool::new(data.root()).unwrap();
        let path = spool.path().to_owned();
        assert!(
            is_spooled(&data, &path)
                && !is_spooled(&data, &data.file("stdin-x"))
                && !is_spooled(&data, &data.uploads().join("x"))
        );
        let long_ago = fs::metadata(&path).unwrap().modified().unwrap() - YOUNG * 2;
        spool.file().set_modified(long_ago).unwrap();
        assert!(!is_abandoned(&path), "it is locked");
        // As a killed process leaves it.
        let Spool { file, path: kept } = spool;
        let path = kept.keep().unwrap();
        drop(file);
        assert!(is_abandoned(&path));
        let young = Spool::new(data.root()).unwrap();
        assert!(!is_abandoned(young.path()));
        let gone = young.path().to_owned();
        drop(young);
        assert!(!gone.exists());
    }
}
