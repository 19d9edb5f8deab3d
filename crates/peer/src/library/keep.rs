//! Earlier versions of a share's files: when an upload takes the place of one, its bytes go on in
//! the data folder, for as long as central keeps the version.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use peral_model::FileId;
use peral_transfer::{
    Stamp, blocking,
    disk::{Disk, OpenFolder, open_plain},
};
use peral_wire::Failure;

use super::{Library, Reservation, remove::unlink};
use crate::db::files::{FileRow, Placed};

/// An earlier version at its second path, with the row that says what it is.
pub(super) struct Earlier {
    path: PathBuf,
}

impl Library {
    /// Gives the bytes of a share's file a second path, before its first one is taken. Nothing if
    /// that cannot be: no upload fails for it. The caller holds `moves`.
    pub(super) async fn keep(&self, row: &FileRow) -> Result<Option<Earlier>, Failure> {
        let Some(version) = row.version() else { return Ok(None) };
        let Some(record) = self.0.db.record(version.file, version.version).await? else {
            return Ok(None);
        };
        let (folder, name) = (self.0.data.kept(), format!("{}-{}", version.file, version.version));
        let path = folder.join(&name);
        let Some(text) = path.to_str().map(str::to_owned) else { return Ok(None) };
        if self.0.db.file_at(&text).await?.is_some() {
            return Ok(None);
        }
        // Only another volume needs more room.
        let room = self.reserve(record.value.content.size).ok();
        let (disk, from, stamp) =
            (self.0.data.disk().clone(), PathBuf::from(&row.path), row.stamp());
        let made = move || Ok(second_path(&disk, &from, &folder, &name, &stamp, room));
        let stamp = match blocking(made).await? {
            Ok(stamp) => stamp,
            Err(error) => {
                tracing::warn!(path = row.path, name = row.name, %error, "an earlier version cannot be kept on this peer");
                return Ok(None);
            }
        };
        self.place(Placed {
            path: text,
            share: None,
            stamp,
            record,
            fetched: false,
            last_had: false,
            now_ms: self.0.clock.now_ms(),
        })
        .await?;
        Ok(Some(Earlier { path }))
    }

    /// The first path was taken, or was not: then the second one is not needed.
    pub(super) async fn end_keep(&self, earlier: Earlier, taken: bool) -> Result<(), Failure> {
        let Earlier { path } = earlier;
        if !taken && let Some(row) = path.to_str().map(|text| self.0.db.file_at(text)) {
            if let Some(row) = row.await? {
                self.forget_row(row.id).await?;
            }
            drop(fs::remove_file(&path));
            return Ok(());
        }
        // Until now it was the same file as the one in the share.
        if let Err(error) = fs::set_permissions(&path, Permissions::from_mode(0o600)) {
            tracing::debug!(path = %path.display(), %error, "an earlier version keeps the rights that it had in the share");
        }
        Ok(())
    }

    /// Deletes what the data folder has of versions of a file that central keeps no longer.
    pub(super) async fn forget_kept(&self, file: FileId, versions: &[u64]) -> Result<(), Failure> {
        let _moves = self.0.moves.lock().await;
        for row in self.0.db.files_of_any_version(file).await? {
            let goes = row.version().is_some_and(|version| !versions.contains(&version.version));
            if goes && Path::new(&row.path).starts_with(self.0.data.kept()) {
                tracing::info!(
                    path = row.path,
                    name = row.name,
                    version = row.version,
                    "a version is no longer kept"
                );
                self.forget_row(row.id).await?;
                let (path, stamp) = (row.path.clone(), row.stamp());
                blocking(move || {
                    unlink(Path::new(&path), &stamp);
                    Ok(())
                })
                .await?;
            }
        }
        Ok(())
    }
}

/// A hard link where that can be, else a copy for which there is room.
fn second_path(
    disk: &Disk,
    from: &Path,
    folder: &Path,
    name: &str,
    indexed: &Stamp,
    room: Option<Reservation>,
) -> io::Result<Stamp> {
    let folder = OpenFolder::enter(disk, folder, [])?;
    // Of a try that was cut off; no row names it.
    drop(folder.remove(name));
    let file = open_plain(from)?;
    let same = |found: Stamp| {
        if found == *indexed {
            Ok(found)
        } else {
            Err(io::Error::other("what is there was changed since it was indexed"))
        }
    };
    same(Stamp::of(&file)?)?;
    let made = match folder.link(from, name) {
        Ok(()) => folder.open(name).and_then(|linked| Stamp::of(&linked)).and_then(same),
        Err(_) => room
            .ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))
            .and_then(|_room| folder.copy(&file, name, 0o600))
            .and_then(|copy| Stamp::of(&copy)),
    };
    let made = made.and_then(|made| folder.sync().map(|()| made));
    made.inspect_err(|_| drop(folder.remove(name)))
}
