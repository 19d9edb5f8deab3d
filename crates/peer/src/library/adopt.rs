//! Takes finished downloads into the library.

use std::path::{Path, PathBuf};

use peral_model::Record;
use peral_wire::{Failure, fail};

use super::{Library, finished::FinishedDownload};
use crate::db::{
    files::{Placed, put_held},
    records::{hold, rows},
};

impl Library {
    /// Records that a download is about to write a content, so that the indexer does not publish it
    /// under another name. To be called before the file appears under its name.
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
    /// INTERNAL, when the database fails or the path is not valid UTF-8.
    pub async fn adopt(&self, download: FinishedDownload) -> Result<(), Failure> {
        self.will_fetch(&download.record.value).await?;
        let path = plain(&download.path)?;
        let share = self.share_of(&path).await?;
        let last_had =
            share.as_ref().is_some_and(|(_, name)| name == download.record.value.name.as_str());
        let path = path
            .into_os_string()
            .into_string()
            .map_err(|path| fail!(Internal, "{} is not valid UTF-8", path.to_string_lossy()))?;
        let (record, share) = (download.record, share.map(|(share, _)| share.number));
        // It was there before, shared in place: it stays the user's own.
        let fetched = !self
            .0
            .db
            .file_at(&path)
            .await?
            .is_some_and(|row| !row.fetched && row.stamp() == download.stamp);
        self.place(Placed {
            path,
            share,
            stamp: download.stamp,
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
        self.0.wake_ups.deltas.notify_one();
        Ok(())
    }
}

/// The path without symlinks in its folders; the last segment stays as it is.
pub(super) fn plain(path: &Path) -> Result<PathBuf, Failure> {
    let wrong = |error: std::io::Error| fail!(Internal, "cannot find {}: {error}", path.display());
    let (Some(folder), Some(last)) = (path.parent(), path.file_name()) else {
        return Err(fail!(InvalidArgument, "{} is not the path of a file", path.display()));
    };
    Ok(folder.canonicalize().map_err(wrong)?.join(last))
}
