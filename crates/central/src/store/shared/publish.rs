//! Publishing.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::FutureExt;
use peral_wire::rest::holdings::VersionRef;

use super::{Conn, Database, begin, bulk, epochs, publication::Publication};
use crate::store::{
    Refusal, Result, StoreError,
    publish::{BegunUpload, NewUpload, Publishes, Publishing, REPLAY_MS},
    replay::{VersionResult, fingerprint, pack, unpack},
    rows::VersionKey,
};

#[async_trait]
impl Publishes for Database {
    async fn publish(&self, publishing: Publishing) -> Result<Vec<Result<Vec<u8>, Refusal>>> {
        self.write(publishing, |c, publishing| publish(c, publishing).boxed()).await
    }
    async fn begin_upload(&self, upload: NewUpload) -> Result<BegunUpload> {
        self.write(upload, |c, upload| begin::begin(c, upload).boxed()).await
    }
}

async fn publish(c: &mut Conn, publishing: &Publishing) -> Result<Vec<Result<Vec<u8>, Refusal>>> {
    let account = epochs::fence(c, publishing.writer).await?;
    let results = match remembered(c, publishing).await? {
        Some(results) => results,
        None => {
            let mut publication = Publication::load(c, publishing, account).await?;
            let take = |version| publication.take(publishing, version);
            let results: Vec<VersionResult> = publishing.versions.iter().map(take).collect();
            publication.write(c, publishing).await?;
            remember(c, publishing, &results).await?;
            results
        }
    };
    records(c, results).await
}

/// Takes the idempotency key, or gives the results that are kept under it.
async fn remembered(c: &mut Conn, publishing: &Publishing) -> Result<Option<Vec<VersionResult>>> {
    let request = fingerprint(publishing);
    let peer = publishing.writer.peer.0;
    // Another publish under the same key is waited for here.
    let taken = sqlx::query(
        "INSERT INTO replays (peer, key, request, results, ends_ms) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (peer, key) DO UPDATE
         SET request = excluded.request, results = excluded.results, ends_ms = excluded.ends_ms
         WHERE replays.ends_ms <= $6",
    )
    .bind(peer)
    .bind(&publishing.key)
    .bind(&request)
    .bind(Vec::<u8>::new())
    .bind(publishing.now_ms + REPLAY_MS)
    .bind(publishing.now_ms)
    .execute(&mut *c)
    .await?;
    if taken.rows_affected() == 1 {
        return Ok(None);
    }
    let sql = "SELECT request, results FROM replays WHERE peer = $1 AND key = $2";
    let (before, results): (Vec<u8>, Vec<u8>) =
        sqlx::query_as(sql).bind(peer).bind(&publishing.key).fetch_one(c).await?;
    if before != request {
        return Err(Refusal::KeyReused.into());
    }
    let corrupt =
        || StoreError::Corrupt { table: "replays", column: "results", row: peer.to_string() };
    unpack(&results).map(Some).ok_or_else(corrupt)
}

async fn remember(c: &mut Conn, publishing: &Publishing, results: &[VersionResult]) -> Result<()> {
    let sql = "UPDATE replays SET results = $3 WHERE peer = $1 AND key = $2";
    sqlx::query(sql)
        .bind(publishing.writer.peer.0)
        .bind(&publishing.key)
        .bind(pack(results))
        .execute(c)
        .await?;
    Ok(())
}

/// The records of what was published. One that has gone since (a result that is given again) was
/// removed.
async fn records(
    c: &mut Conn,
    results: Vec<VersionResult>,
) -> Result<Vec<Result<Vec<u8>, Refusal>>> {
    let keys: Vec<VersionKey> =
        results.iter().flatten().map(|version| VersionKey::from(*version)).collect();
    let rows = if keys.is_empty() { Vec::new() } else { bulk::envelopes(c, &keys).await? };
    let records: HashMap<VersionKey, Vec<u8>> =
        rows.into_iter().map(|row| (row.key, row.record)).collect();
    let record =
        |version: VersionRef| records.get(&version.into()).cloned().ok_or(Refusal::Removed);
    Ok(results.into_iter().map(|result| result.and_then(record)).collect())
}
