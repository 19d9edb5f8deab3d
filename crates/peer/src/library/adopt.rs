//! Taking a finished download into the library.

use std::path::{Path, PathBuf};

use peral_model::Record;
use peral_transfer::Stamp;
use peral_wire::{Failure, Sealed, fail};

use super::Library;
use crate::db::{
    files::{Placed, put_held},
    records::{hold, rows},
};

/// A finished download.
#[derive(Debug, Clone)]
pub struct Adopt {
    /// The version that it is.
    pub record: Sealed<Record>,
    /// Where it was written; absolute.
    pub path: PathBuf,
    /// What the disk says of it.
    pub stamp: Stamp,
}

impl Library {
    /// Notes that a content is about to be written by a download, so that the indexer does not
    /// publish it under another name. To be called before the file appears under its name.
    ///
    /// # Errors
    /// INTERNAL, when the database fails.
    pub async fn will_fetch(&self, record: &Record) -> Result<(), Failure> {
        if record.content.size == 0 {
            Ok(())
        } else {
            self.0.db.note_fetched(record.content.hash).await
        }
    }

    /// Takes a finished download: from now on this peer is a source of it.
    ///
    /// # Errors
    /// INTERNAL, when the database fails or the path has no name that it could keep.
    pub async fn adopt(&self, adopt: Adopt) -> Result<(), Failure> {
        self.will_fetch(&adopt.record.value).await?;
        let path = plain(&adopt.path)?;
        let share = self.share_of(&path).await?;
        let last_had =
            share.as_ref().is_some_and(|(_, name)| name == adopt.record.value.name.as_str());
        let path = path
            .into_os_string()
            .into_string()
            .map_err(|path| fail!(Internal, "{} is no UTF-8", path.to_string_lossy()))?;
        let (record, share) = (adopt.record, share.map(|(share, _)| share.number));
        // It was there already, shared in place: it stays the user's own.
        let fetched = !self
            .0
            .db
            .file_at(&path)
            .await?
            .is_some_and(|row| !row.fetched && row.stamp() == adopt.stamp);
        self.place(Placed {
            path,
            share,
            stamp: adopt.stamp,
            record,
            fetched,
            last_had,
            now_ms: self.0.clock.now_ms(),
        })
        .await
    }

    /// Writes the row of a path that is a known version, and its holding.
    pub(crate) async fn place(&self, placed: Placed) -> Result<(), Failure> {
        let records = rows([&placed.record]);
        let write = self.0.db.write(move |db| {
            Box::pin(async move {
                put_held(db, &placed).await?;
                hold(db, &records).await
            })
        });
        write.await?;
        self.0.kicks.deltas.notify_one();
        Ok(())
    }
}

/// The path without symlinks in its folders; the last segment stays as it is.
pub(super) fn plain(path: &Path) -> Result<PathBuf, Failure> {
    let wrong =
        |error: std::io::Error| fail!(Internal, "{} cannot be found: {error}", path.display());
    let (Some(folder), Some(last)) = (path.parent(), path.file_name()) else {
        return Err(fail!(InvalidArgument, "{} is no path of a file", path.display()));
    };
    Ok(folder.canonicalize().map_err(wrong)?.join(last))
}
