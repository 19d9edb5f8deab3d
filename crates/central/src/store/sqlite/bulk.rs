//! Statements of a publish over many rows: one statement each, with the rows as JSON.

use peral_model::name::fold;
use serde::Serialize;
use uuid::Uuid;

use super::{
    array::{array, id, ids, keys},
    driver::Conn,
};
use crate::store::{
    Result,
    decide::Current,
    events::StoredEvent,
    rows::{CurrentRow, EnvelopeRow, TombstoneRow, VersionKey, VersionRow, int},
    text::{marked_starts, unmarked},
};

/// What names mean now.
pub(super) async fn current(c: &mut Conn, names: &[&str]) -> Result<Vec<CurrentRow>> {
    let sql = "SELECT f.id, f.name, f.owner, f.public, f.serial, f.version, f.hash, f.size
         FROM json_each($1) n CROSS JOIN files f ON f.name = n.value
         WHERE f.removed_ms IS NULL";
    let names = array(names, |name| *name)?;
    Ok(sqlx::query_as(sql).bind(names).fetch_all(c).await?)
}

/// Tombstones of these names, and of these files.
pub(super) async fn tombstones(
    c: &mut Conn,
    names: &[&str],
    files: &[Uuid],
) -> Result<Vec<TombstoneRow>> {
    let sql = "SELECT f.id, f.name, f.hash
         FROM json_each($1) n CROSS JOIN files f ON f.name = n.value
         WHERE f.removed_ms IS NOT NULL
         UNION SELECT f.id, f.name, f.hash
         FROM json_each($2) n CROSS JOIN files f ON f.id = unhex(n.value)
         WHERE f.removed_ms IS NOT NULL";
    let names = array(names, |name| *name)?;
    Ok(sqlx::query_as(sql).bind(names).bind(ids(files)?).fetch_all(c).await?)
}

/// Files among these that an account is named on, and whether it may write them.
pub(super) async fn rights(
    c: &mut Conn,
    account: Uuid,
    files: &[Uuid],
) -> Result<Vec<(Uuid, bool)>> {
    let sql = "SELECT x.file, max(x.can_write) FROM access x
         WHERE x.file IN (SELECT unhex(value) FROM json_each($2)) AND (x.principal = $1
         OR x.principal IN (SELECT m.grp FROM members m WHERE m.account = $1)) GROUP BY x.file";
    Ok(sqlx::query_as(sql).bind(account).bind(ids(files)?).fetch_all(c).await?)
}

#[derive(Serialize)]
struct FileItem<'a> {
    id: String,
    name: &'a str,
    folded: String,
    starts: String,
    owner: String,
    public: bool,
    serial: i64,
    version: i64,
    hash: String,
    size: i64,
    text: String,
}

fn file_item<'a>((name, file): &'a (&str, &Current)) -> FileItem<'a> {
    let folded = fold(name);
    FileItem {
        id: id(file.file.0),
        name,
        starts: marked_starts(&folded),
        text: unmarked(&folded),
        folded,
        owner: id(file.owner.0),
        public: file.public,
        serial: int(file.serial),
        version: int(file.version),
        hash: file.content.hash.to_string(),
        size: int(file.content.size),
    }
}

/// Inserts new files; gives how many names were still free.
pub(super) async fn insert_files(
    c: &mut Conn,
    files: &[(&str, &Current)],
    now_ms: i64,
) -> Result<u64> {
    let rows = array(files, file_item)?;
    let sql = "INSERT INTO files (id, name, folded, starts, owner, public, serial, version, hash,
         size, published_ms)
         SELECT unhex(n.value ->> 'id'), n.value ->> 'name', n.value ->> 'folded',
         n.value ->> 'starts', unhex(n.value ->> 'owner'), n.value ->> 'public',
         n.value ->> 'serial', n.value ->> 'version', unhex(n.value ->> 'hash'),
         n.value ->> 'size', $2 FROM json_each($1) n WHERE TRUE
         ON CONFLICT (name) WHERE removed_ms IS NULL DO NOTHING";
    let inserted =
        sqlx::query(sql).bind(&rows).bind(now_ms).execute(&mut *c).await?.rows_affected();
    let sql = "INSERT INTO names (rowid, text) SELECT f.seq, (n.value ->> 'text') || f.starts
         FROM json_each($1) n CROSS JOIN files f ON f.id = unhex(n.value ->> 'id') ORDER BY f.seq";
    sqlx::query(sql).bind(&rows).execute(c).await?;
    Ok(inserted)
}

#[derive(Serialize)]
struct AdvancedItem {
    id: String,
    version: i64,
    hash: String,
    size: i64,
}

/// Makes other versions the current ones.
pub(super) async fn advance_files(c: &mut Conn, files: &[&Current], now_ms: i64) -> Result<()> {
    let rows = array(files, |file| AdvancedItem {
        id: id(file.file.0),
        version: int(file.version),
        hash: file.content.hash.to_string(),
        size: int(file.content.size),
    })?;
    let sql = "UPDATE files SET version = n.value ->> 'version', hash = unhex(n.value ->> 'hash'),
         size = n.value ->> 'size', published_ms = $2
         FROM json_each($1) n WHERE files.id = unhex(n.value ->> 'id')";
    sqlx::query(sql).bind(rows).bind(now_ms).execute(c).await?;
    Ok(())
}

#[derive(Serialize)]
struct VersionItem {
    file: String,
    version: i64,
    hash: String,
    size: i64,
    record: String,
}

/// Inserts versions.
pub(super) async fn insert_versions(
    c: &mut Conn,
    publisher: Uuid,
    versions: &[VersionRow],
    now_ms: i64,
) -> Result<()> {
    let rows = array(versions, |row| VersionItem {
        file: id(row.file.0),
        version: int(row.version),
        hash: row.content.hash.to_string(),
        size: int(row.content.size),
        record: hex::encode(&row.record),
    })?;
    let sql = "INSERT INTO versions (file, version, hash, size, published_ms, publisher, record)
         SELECT unhex(n.value ->> 'file'), n.value ->> 'version', unhex(n.value ->> 'hash'),
         n.value ->> 'size', $2, $3, unhex(n.value ->> 'record') FROM json_each($1) n";
    sqlx::query(sql).bind(rows).bind(now_ms).bind(publisher).execute(c).await?;
    Ok(())
}

#[derive(Serialize)]
struct EventItem<'a> {
    kind: &'a str,
    file: Option<String>,
    payload: &'a str,
}

/// Writes events.
pub(super) async fn append_events(c: &mut Conn, events: &[StoredEvent], now_ms: i64) -> Result<()> {
    let rows = array(events, |event| EventItem {
        kind: &event.kind,
        file: event.file.map(|file| id(file.0)),
        payload: &event.payload,
    })?;
    let sql = "INSERT INTO outbox (kind, file, payload, created_ms)
         SELECT n.value ->> 'kind', unhex(n.value ->> 'file'), n.value ->> 'payload', $2
         FROM json_each($1) n";
    sqlx::query(sql).bind(rows).bind(now_ms).execute(c).await?;
    Ok(())
}

/// Drops the versions of each file up to a number; their holders stay known as such.
pub(super) async fn drop_versions(c: &mut Conn, until: &[VersionKey]) -> Result<()> {
    let rows = keys(until)?;
    let sql = "INSERT INTO file_notices (peer, file, number) SELECT DISTINCT h.peer, h.file, 0
         FROM json_each($1) o CROSS JOIN holdings h
         ON h.file = unhex(o.value ->> 'file') AND h.version <= o.value ->> 'version'
         WHERE TRUE ON CONFLICT DO NOTHING";
    sqlx::query(sql).bind(&rows).execute(&mut *c).await?;
    let sql = "DELETE FROM versions WHERE (file, version) IN (SELECT v.file, v.version
         FROM json_each($1) o CROSS JOIN versions v
         ON v.file = unhex(o.value ->> 'file') AND v.version <= o.value ->> 'version')";
    sqlx::query(sql).bind(&rows).execute(c).await?;
    Ok(())
}

/// The envelopes of versions.
pub(super) async fn envelopes(c: &mut Conn, versions: &[VersionKey]) -> Result<Vec<EnvelopeRow>> {
    let sql = "SELECT v.file, v.version, v.record FROM json_each($1) k CROSS JOIN versions v
         ON v.file = unhex(k.value ->> 'file') AND v.version = k.value ->> 'version'";
    Ok(sqlx::query_as(sql).bind(keys(versions)?).fetch_all(c).await?)
}

#[derive(sqlx::FromRow)]
struct IndexedText {
    seq: i64,
    folded: String,
    starts: String,
}

/// Takes a file out of the text index, which needs the text that was put in.
pub(super) async fn forget_text(c: &mut Conn, file: Uuid) -> Result<()> {
    let sql = "SELECT seq, folded, starts FROM files WHERE id = $1 AND removed_ms IS NULL";
    let row: Option<IndexedText> = sqlx::query_as(sql).bind(file).fetch_optional(&mut *c).await?;
    if let Some(IndexedText { seq, folded, starts }) = row {
        let text = unmarked(&folded) + &starts;
        sqlx::query("INSERT INTO names (names, rowid, text) VALUES ('delete', $1, $2)")
            .bind(seq)
            .bind(text)
            .execute(c)
            .await?;
    }
    Ok(())
}
