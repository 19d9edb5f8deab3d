//! Statements of a publish over many rows: one statement each, with an array for each column.

use peral_model::{name::fold, search::word_starts};
use uuid::Uuid;

use super::{array::column, driver::Conn};
use crate::store::{
    Result,
    decide::Current,
    events::StoredEvent,
    rows::{CurrentRow, EnvelopeRow, TombstoneRow, VersionKey, VersionRow, int},
};

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
) -> Result<Vec<TombstoneRow>> {
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
pub(super) async fn drop_versions(c: &mut Conn, until: &[VersionKey]) -> Result<()> {
    let files = column(until, |key| key.file);
    let until = column(until, |key| key.version);
    let sql = "INSERT INTO file_notices (peer, file, number) SELECT DISTINCT h.peer, h.file, 0
         FROM UNNEST($1::uuid[], $2::bigint[]) AS o (file, until) JOIN holdings h ON h.file =
         o.file AND h.version <= o.until ON CONFLICT DO NOTHING";
    sqlx::query(sql).bind(&files).bind(&until).execute(&mut *c).await?;
    let sql = "DELETE FROM versions v USING UNNEST($1::uuid[], $2::bigint[]) AS o (file, until) \
        WHERE v.file = o.file AND v.version <= o.until";
    sqlx::query(sql).bind(&files).bind(&until).execute(c).await?;
    Ok(())
}

/// The envelopes of versions.
pub(super) async fn envelopes(c: &mut Conn, versions: &[VersionKey]) -> Result<Vec<EnvelopeRow>> {
    let sql = "SELECT v.file, v.version, v.record FROM UNNEST($1::uuid[], $2::bigint[]) AS k
        (file, version)
         JOIN versions v ON v.file = k.file AND v.version = k.version";
    let query = sqlx::query_as(sql)
        .bind(column(versions, |key| key.file))
        .bind(column(versions, |key| key.version));
    Ok(query.fetch_all(c).await?)
}

/// Takes a file out of the text index: here, the index follows by itself.
pub(super) async fn forget_text(_: &mut Conn, _: Uuid) -> Result<()> {
    Ok(())
}
