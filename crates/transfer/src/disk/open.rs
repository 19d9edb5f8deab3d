//! Opening files without being led elsewhere.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::{Mode, OFlags};

/// Opens an absolute path for reading, through no symlink, if it is a regular file. Never waits for
/// a pipe.
///
/// # Errors
/// The system refuses, or it is something else.
pub fn open_plain(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    #[cfg(target_os = "linux")]
    let opened = match rustix::fs::openat2(
        rustix::fs::CWD,
        path,
        flags,
        Mode::empty(),
        rustix::fs::ResolveFlags::NO_SYMLINKS,
    ) {
        // Old kernels and strict sandboxes do not know the call; the last segment is guarded even
        // so, and the stamp guards the rest.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {
            rustix::fs::open(path, flags, Mode::empty())
        }
        opened => opened,
    };
    #[cfg(not(target_os = "linux"))]
    let opened = rustix::fs::open(path, flags, Mode::empty());
    only_regular(opened?.into())
}

/// Opens a file of our own for reading and writing, and makes it where it is missing: nobody else
/// reads it, and no symlink at its name leads elsewhere.
///
/// # Errors
/// The system refuses, or it is something else.
pub fn open_private(path: &Path) -> io::Result<File> {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow)
        .open(path)?;
    only_regular(file)
}

fn only_regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        os::unix::fs::{MetadataExt, symlink},
    };

    use super::*;

    #[test]
    fn only_plain_files_are_opened() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        fs::create_dir(root.join("real")).unwrap();
        fs::write(root.join("real/file"), b"x").unwrap();
        symlink(root.join("real"), root.join("linked")).unwrap();
        symlink(root.join("real/file"), root.join("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe"), Mode::RUSR).unwrap();
        assert!(open_plain(&root.join("real/file")).is_ok());
        for name in ["link", "linked/file", "pipe", "real", "absent"] {
            assert!(open_plain(&root.join(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn a_private_file_stays_what_it_was_and_is_no_symlink() {
        let temp = tempfile::tempdir().unwrap();
        let (path, link) = (temp.path().join("file"), temp.path().join("link"));
        open_private(&path).unwrap().write_all(b"bytes").unwrap();
        open_private(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"bytes");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        symlink(&path, &link).unwrap();
        assert!(open_private(&link).is_err() && open_private(temp.path()).is_err());
    }
}
