//! Earlier versions of a share's files: when an upload takes the place of one, its bytes go on in
//! the data folder, for as long as central keeps the version.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use peral_model::FileId;
use peral_transfer::{
    Stamp,
    disk::{open_plain, sync_folder},
};
use peral_wire::Failure;

use super::{Library, Reservation, remove::unlink};
use crate::db::{
    broken,
    files::{FileRow, Placed},
};

/// The path of an earlier version, with the row that says what it is.
pub(super) struct Kept(PathBuf);

impl Library {
    /// Gives the bytes of a share's file a second path, before its first one is taken. Nothing if
    /// that cannot be: no upload fails for it. The caller holds `moves`.
    pub(super) async fn keep(&self, row: &FileRow) -> Result<Option<Kept>, Failure> {
        let Some(version) = row.version() else { return Ok(None) };
        let Some(record) = self.0.db.record(version.file, version.version).await? else {
            return Ok(None);
        };
        let path = self.0.data.kept().join(format!("{}-{}", version.file, version.version));
        let Some(text) = path.to_str().map(str::to_owned) else { return Ok(None) };
        if self.0.db.file_at(&text).await?.is_some() {
            return Ok(None);
        }
        // Only another volume needs more room.
        let room = self.reserve(record.value.content.size).ok();
        let (from, to, stamp) = (PathBuf::from(&row.path), path.clone(), row.stamp());
        let stamp = match tokio::task::spawn_blocking(move || second_path(&from, &to, &stamp, room))
            .await
            .map_err(broken)?
        {
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
        Ok(Some(Kept(path)))
    }

    /// The first path was taken, or was not: then the second one is not needed.
    pub(super) async fn end_keep(&self, kept: Kept, taken: bool) -> Result<(), Failure> {
        let Kept(path) = kept;
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
                tokio::task::spawn_blocking(move || unlink(Path::new(&path), &stamp))
                    .await
                    .map_err(broken)?;
            }
        }
        Ok(())
    }
}

/// A hard link where that can be, else a copy for which there is room.
fn second_path(
    from: &Path,
    to: &Path,
    stamp: &Stamp,
    room: Option<Reservation>,
) -> io::Result<Stamp> {
    // Of a try that was cut off; no row names it.
    drop(fs::remove_file(to));
    let file = open_plain(from)?;
    let same = |found: &Stamp| {
        if found == stamp {
            Ok(())
        } else {
            Err(io::Error::other("what is there was changed since it was indexed"))
        }
    };
    same(&Stamp::of(&file)?)?;
    let made = match fs::hard_link(from, to) {
        Ok(()) => File::open(to)
            .and_then(|linked| Stamp::of(&linked))
            .and_then(|found| same(&found).map(|()| found)),
        Err(_) => room
            .ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))
            .and_then(|_room| copy(&file, to)),
    };
    let made = made.and_then(|made| sync_folder(to.parent().unwrap_or(to)).map(|()| made));
    made.inspect_err(|_| drop(fs::remove_file(to)))
}

fn copy(mut from: &File, to: &Path) -> io::Result<Stamp> {
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut from, &mut to)?;
    to.sync_all()?;
    Stamp::of(&to)
}
