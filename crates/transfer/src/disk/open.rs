//! Opening files of others without being led elsewhere.

use std::{fs::File, io, path::Path};

/// Opens an absolute path for reading, through no symlink, if it is a regular file. Never waits for
/// a pipe.
///
/// # Errors
/// The system refuses, or it is something else.
pub fn open_plain(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
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
    let file = File::from(opened?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_plain_files_are_opened() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        fs::create_dir(root.join("real")).unwrap();
        fs::write(root.join("real/file"), b"x").unwrap();
        std::os::unix::fs::symlink(root.join("real"), root.join("linked")).unwrap();
        std::os::unix::fs::symlink(root.join("real/file"), root.join("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe"), rustix::fs::Mode::RUSR).unwrap();
        assert!(open_plain(&root.join("real/file")).is_ok());
        for name in ["link", "linked/file", "pipe", "real", "absent"] {
            assert!(open_plain(&root.join(name)).is_err(), "{name}");
        }
    }
}
