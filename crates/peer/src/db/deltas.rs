//! The log of holding deltas.

use peral_wire::{Failure, rest::holdings::Delta};
use sqlx::FromRow;

use super::{Db, broken, holding::HoldingRow, signed, unsigned};

#[derive(FromRow)]
struct DeltaRow {
    number: i64,
    #[sqlx(flatten)]
    holding: HoldingRow,
}

impl Db {
    /// Number of the last delta written; 0 before the first.
    pub(crate) async fn last_delta(&self) -> Result<u64, Failure> {
        let text = "SELECT seq FROM sqlite_sequence WHERE name = 'deltas'";
        sqlx::query_scalar(text).fetch_one(self.reader()).await.map(unsigned).map_err(broken)
    }

    /// The deltas after this number, each with its own, without a gap; at most `limit`.
    pub async fn deltas_after(
        &self,
        number: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Delta)>, Failure> {
        let text = "SELECT number, file_id, version, held FROM deltas WHERE number > $1 ORDER BY \
            number LIMIT $2";
        let rows: Vec<DeltaRow> = sqlx::query_as(text)
            .bind(signed(number))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.reader())
            .await
            .map_err(broken)?;
        Ok(rows.into_iter().map(|row| (unsigned(row.number), row.holding.delta())).collect())
    }

    /// Deletes deltas that central has acknowledged.
    pub(crate) async fn trim_deltas(&self, acknowledged: u64) -> Result<(), Failure> {
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

    /// Continues the numbers after `to`, which central has seen: this log was lost, or is an old
    /// copy. What central has is then compared by digest.
    pub(crate) async fn skip_deltas(&self, to: u64) -> Result<(), Failure> {
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
