//! Accepted downloads, and uploads that were opened in time.

use peral_model::UploadId;
use peral_wire::Failure;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Db, broken};

/// An accepted download as it is kept.
#[derive(Debug, Clone, FromRow)]
pub struct JobRow {
    pub id: Uuid,
    /// The encoded `DownloadRequest`, with the newest grant.
    pub request: Vec<u8>,
    /// When it was accepted, in milliseconds since 1970.
    pub created_ms: i64,
    /// waiting, moving or failed.
    pub state: String,
    /// Why, for a person.
    pub detail: String,
}

impl Db {
    /// Keeps a job, new or changed. It is durable when this returns.
    pub(crate) async fn save_job(&self, job: JobRow) -> Result<(), Failure> {
        self.write(move |db| {
            Box::pin(async move {
                let text = "INSERT INTO jobs (id, request, created_ms, state, detail) VALUES ($1,
                    $2, $3, $4, $5)
                    ON CONFLICT (id) DO UPDATE SET request = excluded.request, state =
                    excluded.state, detail = excluded.detail";
                let query = sqlx::query(text)
                    .bind(job.id)
                    .bind(job.request)
                    .bind(job.created_ms)
                    .bind(job.state)
                    .bind(job.detail);
                query.execute(db).await.map(drop)
            })
        })
        .await
    }

    /// Deletes a job.
    pub(crate) async fn remove_job(&self, id: Uuid) -> Result<(), Failure> {
        self.write(move |db| {
            Box::pin(async move {
                sqlx::query("DELETE FROM jobs WHERE id = $1").bind(id).execute(db).await.map(drop)
            })
        })
        .await
    }

    /// All jobs, the oldest first.
    pub async fn jobs(&self) -> Result<Vec<JobRow>, Failure> {
        let text = "SELECT id, request, created_ms, state, detail FROM jobs ORDER BY created_ms";
        sqlx::query_as(text).fetch_all(self.reader()).await.map_err(broken)
    }

    /// Records when an upload was first opened.
    pub(crate) async fn open_upload(&self, id: UploadId, now_ms: i64) -> Result<(), Failure> {
        self.write(move |db| {
            Box::pin(async move {
                sqlx::query("INSERT OR IGNORE INTO uploads (id, opened_ms) VALUES ($1, $2)")
                    .bind(id.0)
                    .bind(now_ms)
                    .execute(db)
                    .await
                    .map(drop)
            })
        })
        .await
    }

    /// When an upload was opened, in milliseconds since 1970.
    pub(crate) async fn upload_opened(&self, id: UploadId) -> Result<Option<i64>, Failure> {
        sqlx::query_scalar("SELECT opened_ms FROM uploads WHERE id = $1")
            .bind(id.0)
            .fetch_optional(self.reader())
            .await
            .map_err(broken)
    }

    /// Deletes uploads that were opened before a time.
    pub(crate) async fn forget_uploads(&self, before_ms: i64) -> Result<(), Failure> {
        self.write(move |db| {
            Box::pin(async move {
                sqlx::query("DELETE FROM uploads WHERE opened_ms < $1")
                    .bind(before_ms)
                    .execute(db)
                    .await
                    .map(drop)
            })
        })
        .await
    }
}
