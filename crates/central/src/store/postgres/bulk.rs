//! Statements over many rows: arrays in, one round trip each.

use peral_model::name::fold;
use peral_model::search::word_starts;
use uuid::Uuid;

use super::Conn;
use crate::store::{
    Result,
    decide::Current,
    events::StoredEvent,
    peers::Beat,
    rows::{BeatenRow, CurrentRow, HoldingRow, VersionRow, int, state_number},
};

fn column<'a, T, V>(rows: &'a [T], value: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

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

/// What names mean now, locked in the order of the names.
pub(super) async fn current(c: &mut Conn, names: &[&str]) -> Result<Vec<CurrentRow>> {
    let sql =
        "SELECT f.id, f.name, f.owner, f.public, f.serial, f.version, f.hash, f.size FROM files f
         WHERE f.name = ANY($1::text[]) AND f.removed_ms IS NULL ORDER BY f.name FOR NO KEY UPDATE";
    Ok(sqlx::query_as(sql).bind(names.to_vec()).fetch_all(c).await?)
}

/// Tombstones of these names, and of these files.
pub(super) async fn tombstones(
    c: &mut Conn,
    names: &[&str],
    files: &[Uuid],
) -> Result<Vec<(Uuid, String, Vec<u8>)>> {
    let sql =
        "SELECT id, name, hash FROM files WHERE name = ANY($1::text[]) AND removed_ms IS NOT NULL
         UNION SELECT id, name, hash FROM files WHERE id = ANY($2) AND removed_ms IS NOT NULL";
    Ok(sqlx::query_as(sql).bind(names.to_vec()).bind(files.to_vec()).fetch_all(c).await?)
}

/// Files among these that an account is named on, and whether it may write them.
pub(super) async fn rights(
    c: &mut Conn,
    account: Uuid,
    files: &[Uuid],
) -> Result<Vec<(Uuid, bool)>> {
    let sql = "SELECT x.file, bool_or(x.can_write) FROM access x WHERE x.file = ANY($2)
         AND (x.principal = $1 OR x.principal IN (SELECT m.grp FROM members m WHERE m.account =
         $1)) GROUP BY x.file";
    Ok(sqlx::query_as(sql).bind(account).bind(files.to_vec()).fetch_all(c).await?)
}

/// Inserts new files; gives how many names were still free.
pub(super) async fn insert_files(
    c: &mut Conn,
    files: &[(&str, &Current)],
    now_ms: i64,
) -> Result<u64> {
    let folded: Vec<String> = column(files, |(name, _)| fold(name));
    // Beginnings of words are letters and digits: a space never stands in one.
    let starts = column(&folded, |folded| word_starts(folded).join(" "));
    let sql = "INSERT INTO files (id, name, folded, starts, owner, public, serial, version, hash,
        size, published_ms)
         SELECT n.id, n.name, n.folded, string_to_array(n.starts, ' '), n.owner, n.public,
         n.serial, n.version, n.hash, n.size, $10
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::boolean[],
         $7::bigint[], $8::bytea[], $9::bigint[], $11::bigint[])
         AS n (id, name, folded, starts, owner, public, version, hash, size, serial)
         ORDER BY n.name ON CONFLICT (name) WHERE removed_ms IS NULL DO NOTHING";
    let inserted = sqlx::query(sql)
        .bind(column(files, |(_, file)| file.file.0))
        .bind(column(files, |(name, _)| *name))
        .bind(folded)
        .bind(starts)
        .bind(column(files, |(_, file)| file.owner.0))
        .bind(column(files, |(_, file)| file.public))
        .bind(column(files, |(_, file)| int(file.version)))
        .bind(column(files, |(_, file)| file.content.hash.to_vec()))
        .bind(column(files, |(_, file)| int(file.content.size)))
        .bind(now_ms)
        .bind(column(files, |(_, file)| int(file.serial)))
        .execute(c)
        .await?;
    Ok(inserted.rows_affected())
}

/// Makes other versions the current ones.
pub(super) async fn advance_files(c: &mut Conn, files: &[&Current], now_ms: i64) -> Result<()> {
    let sql = "UPDATE files f SET version = n.version, hash = n.hash, size = n.size, published_ms
        = $5
         FROM UNNEST($1::uuid[], $2::bigint[], $3::bytea[], $4::bigint[]) AS n (id, version,
         hash, size) WHERE f.id = n.id";
    sqlx::query(sql)
        .bind(column(files, |file| file.file.0))
        .bind(column(files, |file| int(file.version)))
        .bind(column(files, |file| file.content.hash.to_vec()))
        .bind(column(files, |file| int(file.content.size)))
        .bind(now_ms)
        .execute(c)
        .await?;
    Ok(())
}

/// Inserts versions.
pub(super) async fn insert_versions(
    c: &mut Conn,
    publisher: Uuid,
    versions: &[VersionRow],
    now_ms: i64,
) -> Result<()> {
    let sql = "INSERT INTO versions (file, version, hash, size, published_ms, publisher, record)
         SELECT n.file, n.version, n.hash, n.size, $6, $7, n.record
         FROM UNNEST($1::uuid[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bytea[]) AS n
         (file, version, hash, size, record)";
    sqlx::query(sql)
        .bind(column(versions, |row| row.file.0))
        .bind(column(versions, |row| int(row.version)))
        .bind(column(versions, |version| version.content.hash.to_vec()))
        .bind(column(versions, |version| int(version.content.size)))
        .bind(column(versions, |version| version.record.as_slice()))
        .bind(now_ms)
        .bind(publisher)
        .execute(c)
        .await?;
    Ok(())
}

/// Writes events.
pub(super) async fn append_events(c: &mut Conn, events: &[StoredEvent], now_ms: i64) -> Result<()> {
    let sql = "INSERT INTO outbox (kind, file, payload, created_ms)
         SELECT n.kind, n.file, n.payload, $4 FROM UNNEST($1::text[], $2::uuid[], $3::text[]) AS n
         (kind, file, payload)";
    sqlx::query(sql)
        .bind(column(events, |event| event.kind.as_str()))
        .bind(column(events, |event| event.file.map(|file| file.0)))
        .bind(column(events, |event| event.payload.as_str()))
        .bind(now_ms)
        .execute(c)
        .await?;
    Ok(())
}

/// Drops the versions of each file up to a number; their holders stay known as such.
pub(super) async fn drop_versions(c: &mut Conn, old: &[(Uuid, i64)]) -> Result<()> {
    let (files, until) = (column(old, |(file, _)| *file), column(old, |(_, until)| *until));
    let sql = "INSERT INTO file_notices (peer, file, number) SELECT DISTINCT h.peer, h.file, 0
         FROM UNNEST($1::uuid[], $2::bigint[]) AS o (file, until) JOIN holdings h ON h.file =
         o.file AND h.version <= o.until ON CONFLICT DO NOTHING";
    sqlx::query(sql).bind(&files).bind(&until).execute(&mut *c).await?;
    let sql = "DELETE FROM versions v USING UNNEST($1::uuid[], $2::bigint[]) AS o (file, until) \
        WHERE v.file = o.file AND v.version <= o.until";
    sqlx::query(sql).bind(&files).bind(&until).execute(c).await?;
    Ok(())
}

/// Records of versions.
pub(super) async fn records(
    c: &mut Conn,
    keys: &[(Uuid, i64)],
) -> Result<Vec<(Uuid, i64, Vec<u8>)>> {
    let sql = "SELECT v.file, v.version, v.record FROM UNNEST($1::uuid[], $2::bigint[]) AS k
        (file, version)
         JOIN versions v ON v.file = k.file AND v.version = k.version";
    let query = sqlx::query_as(sql)
        .bind(column(keys, |(file, _)| *file))
        .bind(column(keys, |(_, version)| *version));
    Ok(query.fetch_all(c).await?)
}

/// Files among these of which a peer that reports them is to be told: removed ones, and ones new to
/// it whose rights have changed before.
pub(super) async fn to_be_told(c: &mut Conn, peer: Uuid, files: &[Uuid]) -> Result<Vec<Uuid>> {
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
    rows: &[(Uuid, i64)],
    now_ms: i64,
) -> Result<()> {
    let sql = "WITH gone AS (DELETE FROM holdings h USING UNNEST($2::uuid[], $3::bigint[]) AS g
        (file, version)
         WHERE h.file = g.file AND h.version = g.version AND h.peer = $1 RETURNING h.file)
         UPDATE files SET last_seen_ms = $4 WHERE id IN (SELECT file FROM gone)";
    let query = sqlx::query(sql)
        .bind(peer)
        .bind(column(rows, |(file, _)| *file))
        .bind(column(rows, |(_, version)| *version));
    query.bind(now_ms).execute(c).await?;
    Ok(())
}

/// Takes a file out of the text index: here, the index follows by itself.
pub(super) async fn forget_text(_: &mut Conn, _: Uuid) -> Result<()> {
    Ok(())
}
