//! Forgets files that are gone from disk, and what is no longer needed.

use std::{path::Path, time::Duration};

use peral_runtime::Lock;
use peral_wire::{ErrorCode, Failure};

use super::Library;
use crate::{
    db::{broken, files::FileRow},
    index::SeenRows,
};

const PAGE: u32 = 1000;
/// A piece list without a file is kept for this time: a running download may need it.
const LIST_AGE: Duration = Duration::from_secs(24 * 3600);

impl Library {
    /// Forgets the rows of a share that a walk did not see, but for those that are newer than it.
    pub(crate) async fn forget_unseen(
        &self,
        share: i64,
        newest: i64,
        seen: &SeenRows,
    ) -> Result<(), Failure> {
        let mut after = 0;
        loop {
            let rows = self.0.db.files_in(share, after, PAGE).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.id;
            for row in rows.iter().filter(|row| row.id <= newest && !seen.has(row.id)) {
                self.forget_if_gone(row).await?;
            }
        }
    }

    /// Forgets the rows at and below a path that is gone.
    pub(crate) async fn forget_gone(&self, path: &Path) -> Result<(), Failure> {
        let Some(text) = path.to_str() else { return Ok(()) };
        for row in self.0.db.files_below(text).await? {
            self.forget_if_gone(&row).await?;
        }
        Ok(())
    }

    async fn forget_if_gone(&self, row: &FileRow) -> Result<(), Failure> {
        let _moves = self.0.moves.lock().await;
        // Looked at again, now that nobody moves anything: only what is certainly gone is forgotten.
        match tokio::fs::symlink_metadata(&row.path).await {
            Ok(found) if found.is_file() => Ok(()),
            Err(error)
                if !matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(())
            }
            _ => {
                tracing::debug!(path = row.path, name = row.name, "a local file is gone");
                self.forget_row(row.id).await
            }
        }
    }

    /// Forgets what is no longer needed: records of versions that are gone, and piece lists of
    /// contents that are.
    ///
    /// # Errors
    /// INTERNAL, when the disk or the database fails.
    pub async fn tidy(&self) -> Result<(), Failure> {
        self.0.db.tidy_records().await?;
        let lists = self.0.lists.clone();
        for hash in tokio::task::spawn_blocking(move || lists.older_than(LIST_AGE))
            .await
            .map_err(broken)?
            .map_err(broken)?
        {
            if !self.0.db.is_listed(hash).await? {
                self.0.lists.remove(&hash);
            }
        }
        Ok(())
    }

    /// Remembers why a file cannot be indexed, until the next walk of all shares.
    pub(crate) fn note_unindexable(&self, path: &Path, code: ErrorCode, detail: String) {
        let mut unindexable = self.0.unindexable.locked();
        if unindexable.len() < super::MAX_UNINDEXABLE || unindexable.contains_key(path) {
            unindexable.insert(path.into(), Failure::new(code, detail));
        }
    }

    /// A walk of all shares begins: it finds anew what cannot be indexed.
    pub(crate) fn forget_unindexable(&self) {
        self.0.unindexable.locked().clear();
    }
}
