//! Folders of others, entered without being led elsewhere.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::{
    handle::{Disk, Operation},
    place::Existing,
};

/// An open folder. It stays the same one, whatever becomes of its path.
#[derive(Debug)]
pub struct OpenFolder {
    fd: OwnedFd,
    disk: Disk,
}

impl OpenFolder {
    /// Enters the folder that lies `below` a root, segment by segment, through no symlink. What is
    /// missing is made, and made durable.
    ///
    /// # Errors
    /// The system refuses, or something on the way is not a folder.
    pub fn enter<'a>(
        disk: &Disk,
        root: &Path,
        below: impl IntoIterator<Item = &'a str>,
    ) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(root, flags, Mode::empty())?;
        let mut folder = Self { fd, disk: disk.clone() };
        for segment in below {
            match rustix::fs::mkdirat(&folder.fd, segment, Mode::from_raw_mode(0o755)) {
                // The folder that has a new entry is made durable too.
                Ok(()) => folder.sync()?,
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            folder.fd = rustix::fs::openat(&folder.fd, segment, flags, Mode::empty())?;
        }
        Ok(folder)
    }

    /// Opens what has this name for reading, if it is not a symlink. Never waits for a pipe.
    ///
    /// # Errors
    /// The system refuses.
    pub fn open(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?.into())
    }

    /// Gives a file a name here that is free, beside the one that it has.
    ///
    /// # Errors
    /// It is on another volume, the name is taken, or the disk refuses.
    pub fn link(&self, from: &Path, name: &str) -> io::Result<()> {
        self.disk.begin(Operation::Link)?;
        Ok(rustix::fs::linkat(CWD, from, &self.fd, name, AtFlags::empty())?)
    }

    /// Copies a file that was just opened to a name here that is free, and makes the copy durable.
    ///
    /// # Errors
    /// The name is taken, the disk is full, or it refuses.
    pub fn copy(&self, from: &File, name: &str, mode: u32) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let to = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(mode))?;
        let to = File::from(to);
        self.disk.copy(from, &to)?;
        self.disk.sync(&to)?;
        Ok(to)
    }

    /// Gives a file of this folder another name here, durably.
    ///
    /// # Errors
    /// `AlreadyExists` where the name is taken by what is to stay; otherwise the disk refuses.
    pub fn rename(&self, from: &str, to: &str, existing: Existing) -> io::Result<()> {
        self.disk.rename_in(self.fd.as_fd(), Path::new(from), Path::new(to), existing)?;
        self.sync()
    }

    /// Removes a file.
    ///
    /// # Errors
    /// The system refuses.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Makes the entries durable.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn sync(&self) -> io::Result<()> {
        self.disk.begin(Operation::SyncFolder)?;
        Ok(rustix::fs::fsync(&self.fd)?)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt, symlink},
    };

    use super::*;

    #[test]
    fn folders_are_made_on_the_way_and_symlinks_lead_nowhere() {
        let temp = tempfile::tempdir().unwrap();
        let (root, outside) = (temp.path().join("root"), temp.path().join("outside"));
        fs::create_dir_all(&outside).unwrap();
        fs::create_dir_all(&root).unwrap();
        let enter =
            |below: &[&str]| OpenFolder::enter(&Disk::default(), &root, below.iter().copied());
        enter(&["a", "b"]).unwrap();
        enter(&["a", "b"]).unwrap();
        assert!(root.join("a/b").is_dir());
        symlink(&outside, root.join("way")).unwrap();
        assert!(enter(&["way"]).is_err() && enter(&["way", "in"]).is_err());
        fs::write(root.join("file"), b"x").unwrap();
        assert!(enter(&["file"]).is_err());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }

    #[test]
    fn a_file_comes_by_link_or_copy_and_takes_its_name() {
        let temp = tempfile::tempdir().unwrap();
        let (root, source) = (temp.path().join("root"), temp.path().join("source"));
        fs::create_dir(&root).unwrap();
        fs::write(&source, b"bytes").unwrap();
        let folder = OpenFolder::enter(&Disk::default(), &root, []).unwrap();
        folder.link(&source, "linked").unwrap();
        assert!(folder.link(&source, "linked").is_err(), "the name is taken");
        folder.copy(&File::open(&source).unwrap(), "copied", 0o600).unwrap();
        let found = fs::metadata(root.join("copied")).unwrap();
        assert_eq!((found.len(), found.mode() & 0o777), (5, 0o600));
        let taken = folder.rename("linked", "copied", Existing::Keep).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        folder.rename("linked", "copied", Existing::Replace).unwrap();
        assert_eq!(fs::metadata(root.join("copied")).unwrap().nlink(), 2, "the link");
        folder.remove("copied").unwrap();
        assert_eq!(folder.open("copied").unwrap_err().kind(), io::ErrorKind::NotFound);
        symlink(&source, root.join("way")).unwrap();
        assert!(folder.open("way").is_err());
    }
}
