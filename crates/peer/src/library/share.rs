//! Adding and removing shares.

use std::path::{Path, PathBuf};

use peral_model::{FileName, ShareId, Visibility};
use peral_wire::{Failure, fail};
use uuid::Uuid;

use super::Library;
use crate::{args::ConfiguredShare, db::shares::ShareRow};

impl Library {
    /// Publishes a folder from now on; makes it where it is missing. One that is shared already
    /// gets this prefix and visibility.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when it overlaps the data folder or another share, or is no folder;
    /// INVALID_NAME for the prefix.
    pub async fn share(
        &self,
        path: &Path,
        prefix: &str,
        visibility: Visibility,
    ) -> Result<ShareRow, Failure> {
        self.add(path, prefix, visibility, false).await
    }

    /// Shares what the command line names, and no longer what it named before and does not now.
    /// Shares added otherwise stay.
    ///
    /// # Errors
    /// As [`Library::share`]; UNAVAILABLE when a folder cannot be used now.
    pub async fn configure(&self, shares: &[ConfiguredShare]) -> Result<(), Failure> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.into());
        for before in self.shares().await?.into_iter().filter(|share| share.configured) {
            if !shares.iter().any(|share| real(&share.path) == Path::new(&before.path)) {
                self.unshare(Path::new(&before.path)).await?;
            }
        }
        for share in shares {
            // What is wrong with the folder may be mended while the peer waits; what is wrong with
            // the arguments is not.
            if let Err(error) = std::fs::create_dir_all(&share.path)
                .and_then(|()| std::fs::read_dir(&share.path).map(drop))
                && !share.path.metadata().is_ok_and(|found| !found.is_dir())
            {
                return Err(fail!(
                    Unavailable,
                    "the share {} cannot be used: {error}",
                    share.path.display()
                ));
            }
            self.add(&share.path, &share.prefix, share.visibility, true).await?;
        }
        Ok(())
    }

    async fn add(
        &self,
        path: &Path,
        prefix: &str,
        visibility: Visibility,
        configured: bool,
    ) -> Result<ShareRow, Failure> {
        let prefix = prefix.trim_end_matches('/');
        if !prefix.is_empty() {
            FileName::new(prefix).map_err(|error| fail!(InvalidName, "the prefix: {error}"))?;
        }
        let path = folder(path)?;
        apart(&path, self.0.data.root())?;
        let text = path.to_str().ok_or_else(|| {
            fail!(InvalidArgument, "the share {} has a name that is no UTF-8", path.display())
        })?;
        let shares = self.shares().await?;
        if let Some(other) = shares.iter().find(|other| {
            other.path != text
                && (path.starts_with(&other.path) || Path::new(&other.path).starts_with(&path))
        }) {
            return Err(fail!(
                InvalidArgument,
                "{text} and the share {} may not contain each other",
                other.path
            ));
        }
        if let Some(before) =
            shares.iter().find(|other| other.path == text && other.prefix != prefix)
        {
            // All names change.
            self.0.db.remove_share(before.number, self.owner()).await?;
            self.0.kicks.deltas.notify_one();
        }
        let share = self
            .0
            .db
            .add_share(ShareId(Uuid::now_v7()), text.into(), prefix.into(), visibility, configured)
            .await?;
        tracing::info!(path = share.path, prefix = share.prefix, ?visibility, "sharing a folder");
        self.0.kicks.rescan.notify_one();
        Ok(share)
    }

    /// The account of this peer, once it is known.
    fn owner(&self) -> Option<Uuid> {
        self.0.link.standing().map(|standing| standing.account.0)
    }

    /// Stops publishing a folder. Its files and their names stay; this peer no longer offers them.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn unshare(&self, path: &Path) -> Result<(), Failure> {
        let real = path.canonicalize().unwrap_or_else(|_| path.into());
        let shares = self.shares().await?;
        let share = shares.iter().find(|share| Path::new(&share.path) == real);
        let share =
            share.ok_or_else(|| fail!(NotFound, "{} is no share of this peer", path.display()))?;
        self.0.db.remove_share(share.number, self.owner()).await?;
        tracing::info!(path = share.path, "no longer sharing a folder");
        self.0.kicks.deltas.notify_one();
        self.0.kicks.rescan.notify_one();
        Ok(())
    }
}

/// A share and the data folder may not contain each other: what is in the one would be published,
/// or taken for the peer's own.
///
/// # Errors
/// INVALID_ARGUMENT.
pub(crate) fn apart(share: &Path, data: &Path) -> Result<(), Failure> {
    if share.starts_with(data) || data.starts_with(share) {
        let (share, data) = (share.display(), data.display());
        return Err(fail!(
            InvalidArgument,
            "the share {share} and the data folder {data} may not contain each other; choose \
             another folder"
        ));
    }
    Ok(())
}

fn folder(path: &Path) -> Result<PathBuf, Failure> {
    let wrong = |error: std::io::Error| {
        fail!(InvalidArgument, "the share {} cannot be used: {error}", path.display())
    };
    if !path.is_absolute() {
        return Err(fail!(InvalidArgument, "the share {} is no absolute path", path.display()));
    }
    std::fs::create_dir_all(path).map_err(wrong)?;
    let real = path.canonicalize().map_err(wrong)?;
    std::fs::read_dir(&real).map_err(wrong)?;
    #[cfg(target_os = "linux")]
    if is_pseudo(&real) {
        return Err(fail!(
            InvalidArgument,
            "the share {} shows the system's state and holds no files; choose another folder",
            path.display()
        ));
    }
    Ok(real)
}

/// Is it a folder in which the kernel makes up what is there, or one of devices?
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
    let made_up = |kind: FsWord| {
        matches!(kind, PROC | SYS | DEVPTS | CGROUP | CGROUP2 | DEBUG | TRACE | SECURITY | CONFIG)
    };
    devices || rustix::fs::statfs(path).is_ok_and(|found| made_up(found.f_type))
}
