//! Folders that can be shared.

use std::path::{Path, PathBuf};

use peral_wire::{Failure, fail};

/// Refuses a share and a data folder that contain each other: the peer's own files would be
/// published, or shared files taken for the peer's own.
///
/// # Errors
/// INVALID_ARGUMENT.
pub(crate) fn apart(share: &Path, data: &Path) -> Result<(), Failure> {
    if share.starts_with(data) || data.starts_with(share) {
        let (share, data) = (share.display(), data.display());
        return Err(fail!(
            InvalidArgument,
            "the share {share} and the data folder {data} overlap; choose another folder"
        ));
    }
    Ok(())
}

/// The real path of a folder to share, which is created where it is missing.
pub(super) fn share_folder(path: &Path) -> Result<PathBuf, Failure> {
    let wrong = |error: std::io::Error| {
        fail!(InvalidArgument, "cannot use the share {}: {error}", path.display())
    };
    if !path.is_absolute() {
        return Err(fail!(
            InvalidArgument,
            "the path of the share {} is not absolute",
            path.display()
        ));
    }
    std::fs::create_dir_all(path).map_err(wrong)?;
    let real = path.canonicalize().map_err(wrong)?;
    std::fs::read_dir(&real).map_err(wrong)?;
    #[cfg(target_os = "linux")]
    if is_pseudo(&real) {
        return Err(fail!(
            InvalidArgument,
            "the share {} is on a file system of the kernel, such as /proc; choose another folder",
            path.display()
        ));
    }
    Ok(real)
}

/// Whether the kernel generates what is in this folder, or it holds devices.
#[cfg(target_os = "linux")]
fn is_pseudo(path: &Path) -> bool {
    use rustix::fs::FsWord;
    const PROC: FsWord = 0x9fa0;
    const SYS: FsWord = 0x6265_6572;
    const DEVPTS: FsWord = 0x1cd1;
    const CGROUP: FsWord = 0x0027_e0eb;
    const CGROUP2: FsWord = 0x6367_7270;
    const DEBUG: FsWord = 0x6462_6720;
    const TRACE: FsWord = 0x7472_6163;
    const SECURITY: FsWord = 0x7363_6673;
    const CONFIG: FsWord = 0x6265_6570;
    // The devices lie in a file system like that of /tmp, and so do the shared memory's files,
    // which are plain ones.
    let devices = path.starts_with("/dev") && !path.starts_with("/dev/shm");
    let generated = |kind: FsWord| {
        matches!(kind, PROC | SYS | DEVPTS | CGROUP | CGROUP2 | DEBUG | TRACE | SECURITY | CONFIG)
    };
    devices || rustix::fs::statfs(path).is_ok_and(|found| generated(found.f_type))
}
