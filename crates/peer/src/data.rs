//! The data folder: what a peer keeps for itself, readable by nobody else, used by one process at a
//! time.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use peral_transfer::disk::{Disk, private_folder};
use peral_wire::{Failure, fail};
use rustix::fs::Access;

/// Name of the control socket in the data folder.
pub const SOCKET: &str = "peral.sock";
/// Name of the file with the peer's key.
pub const KEY: &str = "key.pem";

/// Name of the folder with uploads that are not done.
pub(crate) const UPLOADS: &str = "uploads";

/// A data folder that this process owns. Cheap to clone; the lock goes with the last clone.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: Arc<Path>,
    disk: Disk,
    _lock: Arc<File>,
}

impl DataDir {
    /// Makes the folder where it is missing, checks that nobody else can read it, and takes its
    /// lock.
    ///
    /// # Errors
    /// FORBIDDEN when the folder is open to others or somebody else's; ALREADY_EXISTS when another
    /// process uses it; INTERNAL otherwise.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let wrong = |error: io::Error| {
            fail!(Internal, "the data folder {} cannot be used: {error}", path.display())
        };
        private_folder(path).map_err(wrong)?;
        let root = path.canonicalize().map_err(wrong)?;
        check(&root)?;
        // One that takes nothing new would be noticed only by the socket, when no waiting is meant
        // any more.
        rustix::fs::access(&root, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| wrong(error.into()))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(root.join("lock"))
            .map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(fail!(
                    AlreadyExists,
                    "another peer uses the data folder {}; end it, or give this one another --data",
                    root.display()
                ));
            }
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        let this = Self { root: root.into(), disk: Disk::default(), _lock: Arc::new(lock) };
        for folder in [this.lists(), this.uploads(), this.partial(), this.kept()] {
            private_folder(&folder).map_err(wrong)?;
        }
        Ok(this)
    }

    /// The same folder on another disk: one that fails, in tests.
    #[must_use]
    pub fn on(self, disk: Disk) -> Self {
        Self { disk, ..self }
    }

    /// The disk that uploads are written to.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The folder itself, without symlinks.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.root.join(SOCKET)
    }

    /// Piece lists.
    pub fn lists(&self) -> PathBuf {
        self.root.join("lists")
    }

    /// Uploads that are not done.
    pub fn uploads(&self) -> PathBuf {
        self.root.join(UPLOADS)
    }

    /// Room for what downloads keep beside the target.
    pub fn partial(&self) -> PathBuf {
        self.root.join("partial")
    }

    /// Uploaded files for which there was no place in a share.
    pub fn kept(&self) -> PathBuf {
        self.root.join("kept")
    }

    /// Some file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

fn check(root: &Path) -> Result<(), Failure> {
    let found = fs::metadata(root).map_err(|error| {
        fail!(Internal, "the data folder {} cannot be read: {error}", root.display())
    })?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        let path = root.display();
        return Err(fail!(
            Forbidden,
            "the data folder {path} belongs to another user (uid {}); give this one another --data",
            found.uid()
        ));
    }
    if found.mode() & 0o077 != 0 {
        let path = root.display();
        // It was private when this peer made it: Kubernetes opens all of a volume to its fsGroup.
        if root.join(KEY).exists()
            && fs::set_permissions(root, Permissions::from_mode(0o700)).is_ok()
        {
            tracing::warn!(%path, mode = format!("{:o}", found.mode() & 0o777), "the data folder was opened to others: it is private again");
            return Ok(());
        }
        return Err(fail!(
            Forbidden,
            "the data folder {path} is open to others (mode {:o}); run: chmod 700 {path}",
            found.mode() & 0o777
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use peral_wire::ErrorCode;

    use super::*;

    #[test]
    fn a_new_folder_is_closed_to_others_and_taken_once() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/data");
        let data = DataDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        let second = DataDir::open(&path).unwrap_err();
        assert_eq!(second.code, ErrorCode::AlreadyExists);
        assert!(second.detail.contains(path.file_name().unwrap().to_str().unwrap()), "{second}");
        drop(data);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn a_folder_that_others_can_enter_is_refused_by_name() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("open");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let refused = DataDir::open(&path).unwrap_err();
        assert_eq!(refused.code, ErrorCode::Forbidden);
        assert!(
            refused.detail.contains("open") && refused.detail.contains("chmod 700"),
            "{refused}"
        );
        // One that this peer has lived in before was private then, and is again.
        fs::write(path.join(KEY), b"").unwrap();
        DataDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    }
}
