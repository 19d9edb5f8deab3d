//! The disk, as safe files use it.

use std::{fmt, fs::File, io, os::unix::fs::FileExt, sync::Arc};

use rustix::fs::FallocateFlags;

use super::failure::is_full;

/// What a disk may refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Setting room aside for a file.
    Allocate,
    /// Writing bytes into a file.
    Write,
    /// Copying a file into another.
    Copy,
    /// Giving a file a second name.
    Link,
    /// Giving a file another name.
    Rename,
    /// Making a file durable.
    Sync,
    /// Making the entries of a folder durable.
    SyncFolder,
}

type Faults = Arc<dyn Fn(Operation) -> io::Result<()> + Send + Sync>;

/// The file system; in tests, one that fails. Cheap to clone.
#[derive(Clone, Default)]
pub struct Disk {
    faults: Option<Faults>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Disk").field("fails", &self.faults.is_some()).finish()
    }
}

impl Disk {
    /// A disk for tests: `faults` is asked before each operation, and its error is the operation's.
    pub fn failing(faults: impl Fn(Operation) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { faults: Some(Arc::new(faults)) }
    }

    pub(super) fn begin(&self, operation: Operation) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults(operation))
    }

    /// Gives a file its length, and sets the room aside where the file system can: says whether it
    /// could.
    ///
    /// # Errors
    /// The disk is full, or refuses.
    pub fn allocate(&self, file: &File, size: u64) -> io::Result<bool> {
        self.begin(Operation::Allocate)?;
        if file.metadata()?.len() > size {
            file.set_len(size)?;
        }
        if size == 0 {
            return Ok(true);
        }
        match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size).map_err(io::Error::from)
        {
            Ok(()) => Ok(true),
            Err(error) if is_full(&error) || error.kind() == io::ErrorKind::FileTooLarge => {
                Err(error)
            }
            // Not every file system can.
            Err(_) => file.set_len(size).map(|()| false),
        }
    }

    /// Writes all the bytes at an offset.
    ///
    /// # Errors
    /// The disk is full, or refuses.
    pub fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        self.begin(Operation::Write)?;
        file.write_all_at(bytes, at)
    }

    /// Makes a file durable.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn sync(&self, file: &File) -> io::Result<()> {
        self.begin(Operation::Sync)?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_gets_its_length_whatever_it_had() {
        let file = tempfile::tempfile().unwrap();
        for size in [10, 4096, 3, 0] {
            Disk::default().allocate(&file, size).unwrap();
            assert_eq!(file.metadata().unwrap().len(), size);
        }
    }

    #[test]
    fn what_fails_does_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        let file = File::create_new(&path).unwrap();
        let disk = Disk::failing(|operation| match operation {
            Operation::Write => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        });
        assert!(is_full(&disk.write_at(&file, b"bytes", 0).unwrap_err()));
        disk.sync(&file).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert!(format!("{disk:?}").contains("true"));
    }
}
