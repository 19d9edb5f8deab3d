//! A spot for an upload: its bytes come into the folder under a hidden name, and appear when all
//! is ready.

use std::{
    fs::Permissions,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use peral_transfer::{
    Stamp,
    disk::{Disk, Existing, OpenFolder, open_plain},
};

/// A place that an upload could have.
pub(super) struct Spot {
    pub root: PathBuf,
    /// Its path below the root.
    pub below: String,
    pub share: Option<i64>,
    pub occupant: Occupant,
}

/// What may be at a spot for an upload to take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occupant {
    Nobody,
    /// An older version of the same file, as it was indexed. What its user has written since is
    /// nowhere else.
    Older(Stamp),
    /// Whatever is in the data folder.
    Ours,
}

/// An upload whose bytes are at their spot under a hidden name.
pub(super) struct Prepared {
    pub spot: Spot,
    pub stamp: Stamp,
    hidden: Hidden,
}

/// A hidden name in the folder of a spot. It goes when this is dropped.
struct Hidden {
    folder: OpenFolder,
    name: String,
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Gone already when all went well.
        drop(self.folder.remove(&self.name));
    }
}

impl Spot {
    pub fn path(&self) -> PathBuf {
        self.root.join(&self.below)
    }

    /// Brings the bytes into the folder. Nothing if that cannot be.
    pub fn prepare(self, disk: &Disk, temp: &Path, size: u64) -> Option<Prepared> {
        match self.bring(disk, temp, size) {
            Ok((hidden, stamp)) => Some(Prepared { spot: self, stamp, hidden }),
            Err(error) => {
                let root = self.root.display();
                tracing::info!(%root, below = self.below, %error, "an upload cannot go there");
                None
            }
        }
    }

    fn bring(&self, disk: &Disk, temp: &Path, size: u64) -> io::Result<(Hidden, Stamp)> {
        let folders = self.below.rsplit_once('/').map(|(folders, _)| folders.split('/'));
        let folder = OpenFolder::enter(disk, &self.root, folders.into_iter().flatten())?;
        let name = format!(".peral-{}", uuid::Uuid::new_v4().simple());
        let hidden = Hidden { folder, name };
        self.check(&hidden.folder)?;
        if hidden.folder.link(temp, &hidden.name).is_err() {
            // Another volume, most likely.
            let from = open_plain(temp)?;
            let mode = from.metadata()?.permissions().mode() & 0o777;
            hidden.folder.copy(&from, &hidden.name, mode)?;
        }
        let file = hidden.folder.open(&hidden.name)?;
        if self.occupant == Occupant::Ours {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        let stamp = Stamp::of(&file)?;
        if stamp.size == size {
            Ok((hidden, stamp))
        } else {
            Err(io::Error::other("the bytes of the upload are not complete"))
        }
    }

    /// Refuses a spot where an older version is no longer what was indexed.
    fn check(&self, folder: &OpenFolder) -> io::Result<()> {
        let Occupant::Older(indexed) = self.occupant else { return Ok(()) };
        match folder.open(self.name()).and_then(|file| Stamp::of(&file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Ok(found) if found == indexed => Ok(()),
            Ok(_) => Err(io::Error::other("what is there was changed since it was indexed")),
            Err(error) => Err(error),
        }
    }

    fn name(&self) -> &str {
        self.below.rsplit('/').next().unwrap_or_default()
    }
}

impl Prepared {
    /// Gives the bytes their own name, durably.
    pub fn appear(self) -> io::Result<()> {
        let Self { spot, hidden, .. } = &self;
        spot.check(&hidden.folder)?;
        let existing = match spot.occupant {
            Occupant::Nobody => Existing::Keep,
            Occupant::Older(_) | Occupant::Ours => Existing::Replace,
        };
        hidden.folder.rename(&hidden.name, spot.name(), existing)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use peral_transfer::disk::Operation;
    use tempfile::TempDir;

    use super::*;

    const NEW: &[u8] = b"the new bytes";

    /// A share with an older version in it, and an upload for its place.
    struct Landing {
        _folder: TempDir,
        root: PathBuf,
        temp: PathBuf,
    }

    impl Landing {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let base = folder.path().canonicalize().unwrap();
            let (root, temp) = (base.join("share"), base.join("upload"));
            fs::create_dir_all(root.join("sub")).unwrap();
            fs::write(root.join("sub/file"), b"old").unwrap();
            fs::write(&temp, NEW).unwrap();
            Self { _folder: folder, root, temp }
        }

        fn land(&self, disk: &Disk) -> Option<io::Result<()>> {
            let there = Stamp::of(&File::open(self.root.join("sub/file")).unwrap()).unwrap();
            let spot = Spot {
                root: self.root.clone(),
                below: "sub/file".into(),
                share: None,
                occupant: Occupant::Older(there),
            };
            let prepared = spot.prepare(disk, &self.temp, NEW.len() as u64)?;
            Some(prepared.appear())
        }

        /// What is in the folder: one file, with these bytes.
        fn holds(&self, bytes: &[u8]) {
            assert_eq!(fs::read_dir(self.root.join("sub")).unwrap().count(), 1);
            assert_eq!(fs::read(self.root.join("sub/file")).unwrap(), bytes);
            assert_eq!(fs::read(&self.temp).unwrap(), NEW, "the upload is still there");
        }
    }

    fn failing(fails: &'static [Operation]) -> Disk {
        Disk::failing(move |operation| {
            if fails.contains(&operation) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        })
    }

    #[test]
    fn a_copy_that_fails_leaves_what_was_there() {
        for fails in
            [&[Operation::Link, Operation::Copy][..], &[Operation::Link, Operation::Sync][..]]
        {
            let landing = Landing::new();
            assert!(landing.land(&failing(fails)).is_none(), "{fails:?}");
            landing.holds(b"old");
            landing.land(&failing(&[Operation::Link])).unwrap().unwrap();
            landing.holds(NEW);
        }
    }

    #[test]
    fn a_rename_that_fails_leaves_what_was_there() {
        let landing = Landing::new();
        let refused = landing.land(&failing(&[Operation::Rename])).unwrap().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
        landing.holds(b"old");
        landing.land(&Disk::default()).unwrap().unwrap();
        landing.holds(NEW);
    }
}
