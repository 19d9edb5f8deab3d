//! Statements over what peers report, many rows at once: one statement each, with the rows as JSON.

use serde::Serialize;
use uuid::Uuid;

use super::{
    array::{array, id, ids, keys},
    driver::Conn,
};
use crate::store::{
    Result,
    peers::Beat,
    rows::{BeatenRow, HoldingRow, VersionKey, int, state_number},
};

#[derive(Serialize)]
struct LeaseItem {
    peer: String,
    epoch: i64,
    state: i16,
    room: i64,
    seen_ms: i64,
    ends_ms: i64,
}

/// Renews leases of those whose epoch counts.
pub(super) async fn beat(c: &mut Conn, beats: &[&Beat]) -> Result<Vec<BeatenRow>> {
    let rows = array(beats, |beat| LeaseItem {
        peer: id(beat.writer.peer.0),
        epoch: int(beat.writer.epoch),
        state: state_number(beat.state),
        room: int(beat.room),
        seen_ms: beat.seen_ms,
        ends_ms: beat.lease_ends_ms,
    })?;
    let sql = "UPDATE leases SET state = b.value ->> 'state', room = b.value ->> 'room',
         seen_ms = b.value ->> 'seen_ms', ends_ms = b.value ->> 'ends_ms' FROM json_each($1) b
         WHERE leases.peer = unhex(b.value ->> 'peer') AND leases.epoch = b.value ->> 'epoch'
         RETURNING peer, epoch, (SELECT last_delta FROM peers WHERE id = leases.peer) AS last_delta,
         (SELECT value FROM counters WHERE name = 'notices') AS newest";
    Ok(sqlx::query_as(sql).bind(rows).fetch_all(c).await?)
}

/// Files among these of which a peer that reports them needs a notice: removed ones, and ones new
/// to it whose rights have changed before.
pub(super) async fn needing_notice(c: &mut Conn, peer: Uuid, files: &[Uuid]) -> Result<Vec<Uuid>> {
    let sql = "SELECT f.id FROM json_each($2) n CROSS JOIN files f ON f.id = unhex(n.value)
         WHERE f.removed_ms IS NOT NULL OR (f.serial > 1
         AND NOT EXISTS (SELECT 1 FROM holdings h WHERE h.file = f.id AND h.peer = $1))";
    Ok(sqlx::query_scalar(sql).bind(peer).bind(ids(files)?).fetch_all(c).await?)
}

#[derive(Serialize)]
struct HoldingItem {
    file: String,
    version: i64,
    bucket: i16,
    whole: bool,
}

/// Writes holdings of versions that are kept; others are passed over.
pub(super) async fn upsert_holdings(c: &mut Conn, peer: Uuid, rows: &[HoldingRow]) -> Result<()> {
    let rows = array(rows, |row| HoldingItem {
        file: id(row.file),
        version: row.version,
        bucket: row.bucket,
        whole: row.whole,
    })?;
    let sql = "INSERT INTO holdings (file, version, peer, bucket, whole)
         SELECT v.file, v.version, $1, n.value ->> 'bucket', n.value ->> 'whole'
         FROM json_each($2) n CROSS JOIN versions v
         ON v.file = unhex(n.value ->> 'file') AND v.version = n.value ->> 'version'
         WHERE TRUE ON CONFLICT (file, version, peer) DO UPDATE SET whole = excluded.whole
         WHERE holdings.whole <> excluded.whole";
    sqlx::query(sql).bind(peer).bind(rows).execute(c).await?;
    Ok(())
}

/// Drops holdings, and remembers when their files were last seen.
pub(super) async fn drop_holdings(
    c: &mut Conn,
    peer: Uuid,
    versions: &[VersionKey],
    now_ms: i64,
) -> Result<()> {
    let rows = keys(versions)?;
    let sql = "UPDATE files SET last_seen_ms = $3 WHERE id IN (SELECT h.file
         FROM json_each($2) g CROSS JOIN holdings h ON h.file = unhex(g.value ->> 'file')
         AND h.version = g.value ->> 'version' AND h.peer = $1)";
    sqlx::query(sql).bind(peer).bind(&rows).bind(now_ms).execute(&mut *c).await?;
    let sql = "DELETE FROM holdings WHERE peer = $1 AND (file, version) IN
         (SELECT unhex(g.value ->> 'file'), g.value ->> 'version' FROM json_each($2) g)";
    sqlx::query(sql).bind(peer).bind(&rows).execute(c).await?;
    Ok(())
}
