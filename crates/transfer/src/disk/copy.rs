//! Copies of files.

use std::{fs::File, io};

use super::handle::{Disk, Operation};

impl Disk {
    /// Copies a file that was just opened into an empty one: by shared blocks where the file system
    /// can, which takes neither time nor room.
    ///
    /// # Errors
    /// The disk is full, or refuses.
    pub fn copy(&self, mut from: &File, mut to: &File) -> io::Result<()> {
        self.begin(Operation::Copy)?;
        #[cfg(target_os = "linux")]
        if rustix::fs::ioctl_ficlone(to, from).is_ok() {
            return Ok(());
        }
        io::copy(&mut from, &mut to).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_copy_is_of_all_bytes() {
        let temp = tempfile::tempdir().unwrap();
        let (from, to) = (temp.path().join("from"), temp.path().join("to"));
        let bytes = [7; 100_001];
        fs::write(&from, bytes).unwrap();
        let (source, target) = (File::open(&from).unwrap(), File::create_new(&to).unwrap());
        Disk::default().copy(&source, &target).unwrap();
        assert_eq!(fs::read(&to).unwrap(), bytes);
    }
}
