//! Statements over what peers report, many rows at once: one statement each, with an array for each
//! column.

use uuid::Uuid;

use super::{array::column, driver::Conn};
use crate::store::{
    Result,
    peers::Beat,
    rows::{BeatenRow, HoldingRow, VersionKey, int, state_number},
};

/// Renews leases of those whose epoch counts.
pub(super) async fn beat(c: &mut Conn, beats: &[&Beat]) -> Result<Vec<BeatenRow>> {
    let sql = "UPDATE leases l SET state = b.state, room = b.room, seen_ms = b.seen_ms, ends_ms =
        b.ends_ms
         FROM UNNEST($1::uuid[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[],
         $6::bigint[]) AS b (peer, epoch, state, room, seen_ms, ends_ms)
         JOIN peers p ON p.id = b.peer
         WHERE l.peer = b.peer AND l.epoch = b.epoch
         RETURNING l.peer, l.epoch, p.last_delta, (SELECT value FROM counters WHERE name =
         'notices') AS newest";
    Ok(sqlx::query_as(sql)
        .bind(column(beats, |beat| beat.writer.peer.0))
        .bind(column(beats, |beat| int(beat.writer.epoch)))
        .bind(column(beats, |beat| state_number(beat.state)))
        .bind(column(beats, |beat| int(beat.room)))
        .bind(column(beats, |beat| beat.seen_ms))
        .bind(column(beats, |beat| beat.lease_ends_ms))
        .fetch_all(c)
        .await?)
}

/// Files among these of which a peer that reports them needs a notice: removed ones, and ones new
/// to it whose rights have changed before.
pub(super) async fn needing_notice(c: &mut Conn, peer: Uuid, files: &[Uuid]) -> Result<Vec<Uuid>> {
    let sql = "SELECT f.id FROM files f WHERE f.id = ANY($2) AND (f.removed_ms IS NOT NULL
         OR (f.serial > 1 AND NOT EXISTS (SELECT 1 FROM holdings h WHERE h.file = f.id AND h.peer
         = $1))) ORDER BY f.id";
    Ok(sqlx::query_scalar(sql).bind(peer).bind(files.to_vec()).fetch_all(c).await?)
}

/// Writes holdings of versions that are kept; others are passed over.
pub(super) async fn upsert_holdings(c: &mut Conn, peer: Uuid, rows: &[HoldingRow]) -> Result<()> {
    let sql = "INSERT INTO holdings (file, version, peer, bucket, whole) SELECT n.file,
        n.version, $1, n.bucket, n.whole
         FROM UNNEST($2::uuid[], $3::bigint[], $4::smallint[], $5::boolean[]) AS n (file,
         version, bucket, whole)
         JOIN versions v ON v.file = n.file AND v.version = n.version
         ON CONFLICT (file, version, peer) DO UPDATE SET whole = excluded.whole WHERE
         holdings.whole <> excluded.whole";
    sqlx::query(sql)
        .bind(peer)
        .bind(column(rows, |row| row.file))
        .bind(column(rows, |row| row.version))
        .bind(column(rows, |row| row.bucket))
        .bind(column(rows, |row| row.whole))
        .execute(c)
        .await?;
    Ok(())
}

/// Drops holdings, and remembers when their files were last seen.
pub(super) async fn drop_holdings(
    c: &mut Conn,
    peer: Uuid,
    versions: &[VersionKey],
    now_ms: i64,
) -> Result<()> {
    let sql = "WITH gone AS (DELETE FROM holdings h USING UNNEST($2::uuid[], $3::bigint[]) AS g
        (file, version)
         WHERE h.file = g.file AND h.version = g.version AND h.peer = $1 RETURNING h.file)
         UPDATE files SET last_seen_ms = $4 WHERE id IN (SELECT file FROM gone)";
    let query = sqlx::query(sql)
        .bind(peer)
        .bind(column(versions, |key| key.file))
        .bind(column(versions, |key| key.version));
    query.bind(now_ms).execute(c).await?;
    Ok(())
}
