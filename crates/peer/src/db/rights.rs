//! What decides who is served: serials and revoked identities.

use std::collections::HashMap;

use peral_model::{FileId, Identity};
use peral_wire::Failure;
use sqlx::FromRow;

use super::{Db, broken, signed, unsigned};

#[derive(FromRow)]
struct RevokedRow {
    identity: String,
    until_ms: i64,
}

impl Db {
    /// The highest serial seen of a file; 0 for an unknown file.
    pub async fn serial(&self, file: FileId) -> Result<u64, Failure> {
        let text = "SELECT MAX(COALESCE((SELECT serial FROM serials WHERE file_id = $1), 0), \
            COALESCE((SELECT MAX(serial) FROM records WHERE file_id = $1), 0))";
        sqlx::query_scalar(text)
            .bind(file.0)
            .fetch_one(self.reader())
            .await
            .map(unsigned)
            .map_err(broken)
    }

    /// Keeps a serial, if it is higher than the one kept.
    pub(crate) async fn raise_serial(&self, file: FileId, serial: u64) -> Result<(), Failure> {
        self.write(move |db| {
            Box::pin(async move {
                let text = "INSERT INTO serials (file_id, serial) VALUES ($1, $2)
                    ON CONFLICT (file_id) DO UPDATE SET serial = MAX(serial, excluded.serial)";
                sqlx::query(text).bind(file.0).bind(signed(serial)).execute(db).await.map(drop)
            })
        })
        .await
    }

    /// Keeps a revoked identity.
    pub(crate) async fn revoke(&self, identity: Identity, until_ms: i64) -> Result<(), Failure> {
        self.write(move |db| {
            Box::pin(async move {
                let text = "INSERT INTO revoked (identity, until_ms) VALUES ($1, $2)
                    ON CONFLICT (identity) DO UPDATE SET until_ms = MAX(until_ms,
                    excluded.until_ms)";
                sqlx::query(text)
                    .bind(identity.to_string())
                    .bind(until_ms)
                    .execute(db)
                    .await
                    .map(drop)
            })
        })
        .await
    }

    /// Revoked identities with the time when their last certificate expires; those that have none
    /// any more are deleted.
    pub async fn revoked(&self, now_ms: i64) -> Result<HashMap<Identity, i64>, Failure> {
        let rows = self.write(move |db| {
            Box::pin(async move {
                sqlx::query("DELETE FROM revoked WHERE until_ms < $1")
                    .bind(now_ms)
                    .execute(&mut *db)
                    .await?;
                sqlx::query_as::<_, RevokedRow>("SELECT identity, until_ms FROM revoked")
                    .fetch_all(db)
                    .await
            })
        });
        Ok(rows
            .await?
            .into_iter()
            .filter_map(|row| Some((row.identity.parse().ok()?, row.until_ms)))
            .collect())
    }
}
