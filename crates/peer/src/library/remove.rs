//! Giving up copies: changed on disk, damaged, or removed from the catalogue.

use std::path::Path;

use peral_model::{FileId, Record};
use peral_transfer::{Stamp, blocking, disk::open_plain};
use peral_wire::{ErrorCode, Failure, Sealed, rest::peers::Notice};
use sqlx::SqliteConnection;

use super::{Held, Library, Withdraw};
use crate::db::{files::FileRow, records::release};

impl Library {
    /// Gives up a copy: it is no longer offered, and central is told.
    ///
    /// # Errors
    /// INTERNAL, when the database fails.
    pub async fn withdraw(&self, held: &Held, why: Withdraw) -> Result<(), Failure> {
        let _moves = self.0.moves.lock().await;
        let Some(row) = self.0.db.file_at(&held.path.to_string_lossy()).await? else {
            return Ok(());
        };
        let version = row.version();
        let same = version.is_some_and(|version| {
            (version.file, version.version) == (held.record.value.file, held.record.value.version)
        });
        if !same || row.stamp() != held.stamp {
            return Ok(());
        }
        tracing::info!(path = row.path, name = row.name, ?why, "a copy is withdrawn");
        match why {
            Withdraw::Changed => {
                self.forget_row(row.id).await?;
                self.0.wake_ups.rescan.notify_one();
                Ok(())
            }
            Withdraw::Integrity => {
                self.0.lists.remove(&held.record.value.content.hash);
                let detail = "its bytes changed though its size and time did not: the disk is \
                    failing, \
                    or somebody hid an edit";
                self.leave_out(&row, ErrorCode::Integrity, detail.into()).await
            }
            Withdraw::Removed => {
                self.leave_out(
                    &row,
                    ErrorCode::Removed,
                    "the name was removed from the catalogue".into(),
                )
                .await
            }
        }
    }

    /// Keeps the row as a trouble, and withdraws what it held.
    async fn leave_out(
        &self,
        row: &FileRow,
        code: ErrorCode,
        detail: String,
    ) -> Result<(), Failure> {
        let (id, version) = (row.id, row.version());
        let write = self.0.db.write(move |db: &mut SqliteConnection| {
            Box::pin(async move {
                let text = "UPDATE files SET state = 2, file_id = NULL, version = NULL, code = \
                    $2, detail = $3 WHERE id = $1";
                sqlx::query(text)
                    .bind(id)
                    .bind(code.as_str())
                    .bind(detail)
                    .execute(&mut *db)
                    .await?;
                match version {
                    Some(version) => release(db, version.file, version.version).await.map(drop),
                    None => Ok(()),
                }
            })
        });
        write.await?;
        self.0.wake_ups.deltas.notify_one();
        Ok(())
    }

    /// Obeys a notice of central's. Obeying one twice does no harm.
    ///
    /// # Errors
    /// INTERNAL, when the database fails; UNAUTHENTICATED, when a record in it is not signed by a
    /// key that is known.
    pub async fn obey(&self, notice: &Notice) -> Result<(), Failure> {
        match notice {
            Notice::Revoked { identity, until_ms } => {
                tracing::info!(%identity, "an identity is revoked");
                self.0.rights.revoke(*identity, *until_ms).await
            }
            Notice::Changed { file, serial, records } => {
                let keys = self.0.rights.verifier();
                let records = records
                    .iter()
                    .map(|text| Sealed::<Record>::from_text(text, &keys))
                    .collect::<Result<Vec<_>, _>>()?;
                self.0.db.renew_records(&records).await?;
                let versions: Vec<u64> = records
                    .iter()
                    .map(|record| &record.value)
                    .filter(|value| value.file == *file)
                    .map(|value| value.version)
                    .collect();
                if !versions.is_empty() {
                    self.forget_kept(*file, &versions).await?;
                }
                self.0.rights.learn(*file, *serial).await
            }
            Notice::Removed { file, serial, .. } => self.remove(*file, *serial).await,
        }
    }

    /// The file was removed: copies that downloads put into shares or the data folder go, all
    /// others stay on disk.
    async fn remove(&self, file: FileId, serial: u64) -> Result<(), Failure> {
        self.0.rights.learn(file, serial).await?;
        self.0.rights.cut(file);
        let _moves = self.0.moves.lock().await;
        for row in self.0.db.files_of_any_version(file).await? {
            let ours = Path::new(&row.path).starts_with(self.0.data.root());
            tracing::info!(
                path = row.path,
                name = row.name,
                fetched = row.fetched,
                "the name of a file was removed"
            );
            if ours || row.fetched {
                self.forget_row(row.id).await?;
                if ours || row.share.is_some() {
                    let (path, stamp) = (row.path.clone(), row.stamp());
                    blocking(move || {
                        unlink(Path::new(&path), &stamp);
                        Ok(())
                    })
                    .await?;
                }
            } else {
                self.leave_out(
                    &row,
                    ErrorCode::Removed,
                    "the name was removed from the catalogue; only an upload brings it back".into(),
                )
                .await?;
            }
        }
        Ok(())
    }
}

/// Deletes a cached copy, unless somebody made it their own by changing it.
pub(super) fn unlink(path: &Path, stamp: &Stamp) {
    let same =
        open_plain(path).and_then(|file| Stamp::of(&file)).is_ok_and(|found| found == *stamp);
    if same && let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "a cached copy of a removed file cannot be deleted");
    }
}
