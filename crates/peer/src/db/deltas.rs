//! The log of holding deltas.

use peral_model::FileId;
use peral_wire::{
    Failure,
    rest::holdings::{Delta, Held, VersionRef},
};
use uuid::Uuid;

use super::{Db, broken, signed, unsigned};

impl Db {
    /// Number of the last delta written; 0 before the first.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn last_delta(&self) -> Result<u64, Failure> {
        let text = "SELECT seq FROM sqlite_sequence WHERE name = 'deltas'";
        sqlx::query_scalar(text).fetch_one(self.reader()).await.map(unsigned).map_err(broken)
    }

    /// The deltas after a number, without a gap; at most `limit`.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn deltas_after(
        &self,
        number: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Delta)>, Failure> {
        let text = "SELECT number, file_id, version, held FROM deltas WHERE number > $1 ORDER BY \
            number LIMIT $2";
        let query = sqlx::query_as::<_, (i64, Uuid, i64, i64)>(text)
            .bind(signed(number))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = query.fetch_all(self.reader()).await.map_err(broken)?;
        let delta = |(number, file, version, held)| {
            let version = VersionRef { file: FileId(file), version: unsigned(version) };
            (
                unsigned(number),
                Delta { version, held: if held == 1 { Held::All } else { Held::None } },
            )
        };
        Ok(rows.into_iter().map(delta).collect())
    }

    /// Forgets deltas that central has.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn trim_deltas(&self, acknowledged: u64) -> Result<(), Failure> {
        self.write(move |db| {
            Box::pin(async move {
                sqlx::query("DELETE FROM deltas WHERE number <= $1")
                    .bind(signed(acknowledged))
                    .execute(db)
                    .await
                    .map(drop)
            })
        })
        .await
    }

    /// Central has seen higher numbers than this log (it was lost, or is an old copy): counts on
    /// from there. What central has is then compared by digest.
    ///
    /// # Errors
    /// INTERNAL.
    pub async fn skip_deltas(&self, to: u64) -> Result<(), Failure> {
        self.write(move |db| {
            Box::pin(async move {
                sqlx::query("DELETE FROM deltas").execute(&mut *db).await?;
                let text = "UPDATE sqlite_sequence SET seq = MAX(seq, $1) WHERE name = 'deltas'";
                sqlx::query(text).bind(signed(to)).execute(db).await.map(drop)
            })
        })
        .await
    }
}
