//! Adding and removing shares.

use std::path::Path;

use peral_model::{FileName, ShareId, Visibility};
use peral_wire::{Failure, fail};
use uuid::Uuid;

use super::{
    Library,
    folders::{apart, share_folder},
};
use crate::{config::ConfiguredShare, db::shares::ShareRow};

impl Library {
    /// Publishes a folder from now on; creates it where it is missing. One that is shared already
    /// gets this prefix and visibility.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when it overlaps the data folder or another share, or is not a folder;
    /// INVALID_NAME for the prefix.
    pub async fn share(
        &self,
        path: &Path,
        prefix: &str,
        visibility: Visibility,
    ) -> Result<ShareRow, Failure> {
        self.add(path, prefix, visibility, false).await
    }

    /// Shares what the command line names, and stops sharing what it named at the last start and no
    /// longer names. Shares that were added otherwise stay.
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
            // Trouble with the folder may pass while the peer waits; a mistake in the arguments does
            // not.
            if let Err(error) = std::fs::create_dir_all(&share.path)
                .and_then(|()| std::fs::read_dir(&share.path).map(drop))
                && !share.path.metadata().is_ok_and(|found| !found.is_dir())
            {
                return Err(fail!(
                    Unavailable,
                    "cannot use the share {}: {error}",
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
            FileName::new(prefix).map_err(|error| fail!(InvalidName, "invalid prefix: {error}"))?;
        }
        let path = share_folder(path)?;
        apart(&path, self.0.data.root())?;
        let text = path.to_str().ok_or_else(|| {
            fail!(InvalidArgument, "the path of the share {} is not valid UTF-8", path.display())
        })?;
        let shares = self.shares().await?;
        if let Some(other) = shares.iter().find(|other| {
            other.path != text
                && (path.starts_with(&other.path) || Path::new(&other.path).starts_with(&path))
        }) {
            return Err(fail!(
                InvalidArgument,
                "{text} overlaps the share {}; choose another folder",
                other.path
            ));
        }
        if let Some(before) =
            shares.iter().find(|other| other.path == text && other.prefix != prefix)
        {
            // All names change.
            self.0.db.remove_share(before.number, self.owner()).await?;
            self.0.wake_ups.deltas.notify_one();
        }
        let share = self
            .0
            .db
            .add_share(ShareId(Uuid::now_v7()), text.into(), prefix.into(), visibility, configured)
            .await?;
        tracing::info!(path = share.path, prefix = share.prefix, ?visibility, "sharing a folder");
        self.0.wake_ups.rescan.notify_one();
        Ok(share)
    }

    /// The account of this peer, once it is known.
    fn owner(&self) -> Option<Uuid> {
        self.0.link.registration().map(|registration| registration.account.0)
    }

    /// Stops publishing a folder. Its files and their names stay; this peer no longer serves them.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn unshare(&self, path: &Path) -> Result<(), Failure> {
        let real = path.canonicalize().unwrap_or_else(|_| path.into());
        let shares = self.shares().await?;
        let share = shares.iter().find(|share| Path::new(&share.path) == real);
        let share = share
            .ok_or_else(|| fail!(NotFound, "{} is not a share of this peer", path.display()))?;
        self.0.db.remove_share(share.number, self.owner()).await?;
        tracing::info!(path = share.path, "no longer sharing a folder");
        self.0.wake_ups.deltas.notify_one();
        self.0.wake_ups.rescan.notify_one();
        Ok(())
    }
}
