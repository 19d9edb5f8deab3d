//! Holdings.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use futures::{FutureExt, TryStreamExt};
use peral_model::FileId;
use peral_wire::rest::holdings::{BUCKETS, Bucket, Delta, Deltas, Extent, VersionRef, row_hash};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Conn, Database, notices, reports};
use crate::store::{
    Holdings, Refusal, Result,
    peers::Writer,
    rows::{HoldingRow, VersionKey, int, nat},
};

#[async_trait]
impl Holdings for Database {
    async fn apply_deltas(&self, writer: Writer, deltas: Deltas, now_ms: i64) -> Result<u64> {
        self.write((writer, deltas, now_ms), |c, (writer, deltas, now_ms)| {
            apply(c, *writer, deltas, *now_ms).boxed()
        })
        .await
    }
    async fn compare_digest(
        &self,
        writer: Writer,
        last_delta: u64,
        words: Vec<u64>,
    ) -> Result<Vec<u16>> {
        let differing = compare(&mut *self.reader().await?, writer, &words).await?;
        let agreed = differing.is_empty();
        self.write((writer, last_delta, agreed), |c, (writer, last, agreed)| {
            agree(c, *writer, *last, *agreed).boxed()
        })
        .await?;
        Ok(differing)
    }
    async fn replace_bucket(&self, writer: Writer, bucket: Bucket, now_ms: i64) -> Result<u64> {
        self.write((writer, bucket, now_ms), |c, (writer, bucket, now_ms)| {
            replace(c, *writer, bucket, *now_ms).boxed()
        })
        .await
    }
}

/// Checks the writer's epoch and keeps others of the same peer out; gives the number of its last
/// delta.
async fn fence(c: &mut Conn, writer: Writer) -> Result<u64> {
    let sql = concat!(
        "SELECT last_delta FROM peers WHERE id = $1 AND epoch = $2 AND NOT revoked AND NOT \
         logged_out",
        update!()
    );
    let last: Option<i64> = sqlx::query_scalar(sql)
        .bind(writer.peer.0)
        .bind(int(writer.epoch))
        .fetch_optional(c)
        .await?;
    nat(last.ok_or(Refusal::StaleEpoch)?, "peers", "last_delta", writer.peer.0)
}

async fn set_last(c: &mut Conn, writer: Writer, last_delta: u64) -> Result<()> {
    sqlx::query("UPDATE peers SET last_delta = $2 WHERE id = $1")
        .bind(writer.peer.0)
        .bind(int(last_delta))
        .execute(c)
        .await?;
    Ok(())
}

async fn apply(c: &mut Conn, writer: Writer, deltas: &Deltas, now_ms: i64) -> Result<u64> {
    let last_delta = fence(c, writer).await?;
    let known =
        (last_delta + 1).checked_sub(deltas.first).ok_or(Refusal::IndexGap { last_delta })?;
    let new = deltas.deltas.get(usize::try_from(known).unwrap_or(usize::MAX)..).unwrap_or_default();
    if new.is_empty() {
        return Ok(last_delta);
    }
    write_rows(c, writer, new, now_ms).await?;
    let last_delta = last_delta + new.len() as u64;
    set_last(c, writer, last_delta).await?;
    Ok(last_delta)
}

/// Writes what a peer says of versions; what it said last of each counts.
async fn write_rows(c: &mut Conn, writer: Writer, deltas: &[Delta], now_ms: i64) -> Result<()> {
    let last: BTreeMap<VersionRef, Extent> =
        deltas.iter().map(|delta| (delta.version, delta.held)).collect();
    let (mut held, mut gone) = (Vec::new(), Vec::new());
    for (version, what) in last {
        match what {
            Extent::None => gone.push(version.into()),
            _ => held.push(holding(version, what)),
        }
    }
    if !gone.is_empty() {
        reports::drop_holdings(c, writer.peer.0, &gone, now_ms).await?;
    }
    if !held.is_empty() {
        let files: HashSet<Uuid> = held.iter().map(|row| row.file).collect();
        let files: Vec<Uuid> = files.into_iter().collect();
        let changed = reports::needing_notice(c, writer.peer.0, &files).await?;
        reports::upsert_holdings(c, writer.peer.0, &held).await?;
        notices::notify(c, writer.peer, &changed).await?;
    }
    Ok(())
}

fn holding(version: VersionRef, held: Extent) -> HoldingRow {
    let (bucket, _) = row_hash(&Delta { version, held });
    // Buckets are below 4,096.
    let bucket = i16::try_from(bucket).unwrap_or_default();
    HoldingRow {
        file: version.file.0,
        version: int(version.version),
        bucket,
        whole: held == Extent::All,
    }
}

#[derive(FromRow)]
struct HeldRow {
    file: Uuid,
    version: i64,
    whole: bool,
}

impl HeldRow {
    /// What the peer said of it.
    fn delta(&self) -> Result<Delta> {
        let version = nat(self.version, "holdings", "version", self.file)?;
        let version = VersionRef { file: FileId(self.file), version };
        Ok(Delta { version, held: if self.whole { Extent::All } else { Extent::Part } })
    }
}

async fn compare(c: &mut Conn, writer: Writer, words: &[u64]) -> Result<Vec<u16>> {
    let mut own = vec![0_u64; BUCKETS];
    let sql = "SELECT file, version, whole FROM holdings WHERE peer = $1";
    let mut rows = sqlx::query_as::<_, HeldRow>(sql).bind(writer.peer.0).fetch(c);
    while let Some(row) = rows.try_next().await? {
        let (bucket, hash) = row_hash(&row.delta()?);
        if let Some(word) = own.get_mut(usize::from(bucket)) {
            *word ^= hash;
        }
    }
    let differs = |bucket: &u16| own.get(usize::from(*bucket)) != words.get(usize::from(*bucket));
    Ok((0..).take(BUCKETS).filter(differs).collect())
}

async fn agree(c: &mut Conn, writer: Writer, last_delta: u64, agreed: bool) -> Result<()> {
    let before = fence(c, writer).await?;
    if agreed && before != last_delta {
        set_last(c, writer, last_delta).await?;
    }
    Ok(())
}

async fn replace(c: &mut Conn, writer: Writer, bucket: &Bucket, now_ms: i64) -> Result<u64> {
    fence(c, writer).await?;
    // Rows of other buckets would not be found again by this one.
    let rows: Vec<Delta> =
        bucket.rows.iter().filter(|row| row_hash(row).0 == bucket.bucket).copied().collect();
    if bucket.replace {
        let sql = "SELECT file, version FROM holdings WHERE peer = $1 AND bucket = $2";
        let number = i16::try_from(bucket.bucket).unwrap_or(-1);
        let there: Vec<VersionKey> =
            sqlx::query_as(sql).bind(writer.peer.0).bind(number).fetch_all(&mut *c).await?;
        let named: HashSet<VersionKey> = rows.iter().map(|row| row.version.into()).collect();
        let gone: Vec<VersionKey> = there.into_iter().filter(|key| !named.contains(key)).collect();
        if !gone.is_empty() {
            reports::drop_holdings(c, writer.peer.0, &gone, now_ms).await?;
        }
    }
    write_rows(c, writer, &rows, now_ms).await?;
    set_last(c, writer, bucket.last_delta).await?;
    Ok(bucket.last_delta)
}
