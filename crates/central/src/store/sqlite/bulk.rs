//! Statements over many rows: JSON in, one statement each. Bytes travel in it as hexadecimal
//! digits.

use peral_model::name::fold;
use serde_json::json;
use uuid::Uuid;

use super::Conn;
use crate::store::{
    Result,
    decide::Current,
    events::StoredEvent,
    peers::Beat,
    rows::{BeatenRow, CurrentRow, HoldingRow, VersionRow, int, state_number},
    text::{marked_starts, unmarked},
};

fn array<T>(rows: &[T], value: impl Fn(&T) -> serde_json::Value) -> String {
    serde_json::Value::Array(rows.iter().map(value).collect()).to_string()
}

fn ids(ids: &[Uuid]) -> String {
    array(ids, |id| json!(hex::encode(id.as_bytes())))
}

fn keys(keys: &[(Uuid, i64)]) -> String {
    array(keys, |(file, number)| json!([hex::encode(file.as_bytes()), number]))
}

/// Renews leases of those whose epoch counts.
pub(super) async fn beat(c: &mut Conn, beats: &[&Beat]) -> Result<Vec<BeatenRow>> {
    let rows = array(beats, |beat| {
        let peer = hex::encode(beat.writer.peer.0.as_bytes());
        json!([
            peer,
            int(beat.writer.epoch),
            state_number(beat.state),
            int(beat.room),
            beat.seen_ms,
            beat.lease_ends_ms
        ])
    });
    let sql = "UPDATE leases SET state = b.value ->> 2, room = b.value ->> 3, seen_ms = b.value
        ->> 4, ends_ms = b.value ->> 5
         FROM json_each($1) b WHERE leases.peer = unhex(b.value ->> 0) AND leases.epoch = b.value
         ->> 1
         RETURNING peer, epoch, (SELECT last_delta FROM peers WHERE id = leases.peer) AS last_delta,
         (SELECT value FROM counters WHERE name = 'notices') AS newest";
    Ok(sqlx::query_as(sql).bind(rows).fetch_all(c).await?)
}

/// What names mean now.
pub(super) async fn current(c: &mut Conn, names: &[&str]) -> Result<Vec<CurrentRow>> {
    let sql = "SELECT f.id, f.name, f.owner, f.public, f.serial, f.version, f.hash, f.size FROM
        json_each($1) n
         CROSS JOIN files f ON f.name = n.value WHERE f.removed_ms IS NULL";
    Ok(sqlx::query_as(sql).bind(json!(names).to_string()).fetch_all(c).await?)
}

/// Tombstones of these names, and of these files.
pub(super) async fn tombstones(
    c: &mut Conn,
    names: &[&str],
    files: &[Uuid],
) -> Result<Vec<(Uuid, String, Vec<u8>)>> {
    let sql = "SELECT f.id, f.name, f.hash FROM json_each($1) n CROSS JOIN files f ON f.name =
        n.value WHERE f.removed_ms IS NOT NULL
         UNION SELECT f.id, f.name, f.hash FROM json_each($2) n CROSS JOIN files f ON f.id =
         unhex(n.value) WHERE f.removed_ms IS NOT NULL";
    Ok(sqlx::query_as(sql).bind(json!(names).to_string()).bind(ids(files)).fetch_all(c).await?)
}

/// Files among these that an account is named on, and whether it may write them.
pub(super) async fn rights(
    c: &mut Conn,
    account: Uuid,
    files: &[Uuid],
) -> Result<Vec<(Uuid, bool)>> {
    let sql = "SELECT x.file, max(x.can_write) FROM access x WHERE x.file IN (SELECT unhex(value)
        FROM json_each($2))
         AND (x.principal = $1 OR x.principal IN (SELECT m.grp FROM members m WHERE m.account =
         $1)) GROUP BY x.file";
    Ok(sqlx::query_as(sql).bind(account).bind(ids(files)).fetch_all(c).await?)
}

/// Inserts new files; gives how many names were still free.
pub(super) async fn insert_files(
    c: &mut Conn,
    files: &[(&str, &Current)],
    now_ms: i64,
) -> Result<u64> {
    let rows = array(files, |(name, file)| {
        let folded = fold(name);
        let (id, owner) =
            (hex::encode(file.file.0.as_bytes()), hex::encode(file.owner.0.as_bytes()));
        let starts = marked_starts(&folded);
        let text = unmarked(&folded);
        let (hash, size) = (file.content.hash.to_string(), int(file.content.size));
        json!([
            id,
            name,
            folded,
            starts,
            owner,
            i64::from(file.public),
            int(file.serial),
            int(file.version),
            hash,
            size,
            text
        ])
    });
    let sql = "INSERT INTO files (id, name, folded, starts, owner, public, serial, version, hash,
        size, published_ms)
         SELECT unhex(n.value ->> 0), n.value ->> 1, n.value ->> 2, n.value ->> 3, unhex(n.value
         ->> 4), n.value ->> 5, n.value ->> 6,
         n.value ->> 7, unhex(n.value ->> 8), n.value ->> 9, $2 FROM json_each($1) n WHERE TRUE
         ON CONFLICT (name) WHERE removed_ms IS NULL DO NOTHING";
    let inserted =
        sqlx::query(sql).bind(&rows).bind(now_ms).execute(&mut *c).await?.rows_affected();
    let sql = "INSERT INTO names (rowid, text) SELECT f.seq, (n.value ->> 10) || f.starts FROM
        json_each($1) n
         CROSS JOIN files f ON f.id = unhex(n.value ->> 0) ORDER BY f.seq";
    sqlx::query(sql).bind(&rows).execute(c).await?;
    Ok(inserted)
}

/// Makes other versions the current ones.
pub(super) async fn advance_files(c: &mut Conn, files: &[&Current], now_ms: i64) -> Result<()> {
    let rows = array(files, |file| {
        let content = file.content;
        json!([
            hex::encode(file.file.0.as_bytes()),
            int(file.version),
            content.hash.to_string(),
            int(content.size)
        ])
    });
    let sql = "UPDATE files SET version = n.value ->> 1, hash = unhex(n.value ->> 2), size =
        n.value ->> 3, published_ms = $2
         FROM json_each($1) n WHERE files.id = unhex(n.value ->> 0)";
    sqlx::query(sql).bind(rows).bind(now_ms).execute(c).await?;
    Ok(())
}

/// Inserts versions.
pub(super) async fn insert_versions(
    c: &mut Conn,
    publisher: Uuid,
    versions: &[VersionRow],
    now_ms: i64,
) -> Result<()> {
    let rows = array(versions, |row| {
        let (file, hash) = (hex::encode(row.file.0.as_bytes()), row.content.hash.to_string());
        json!([file, int(row.version), hash, int(row.content.size), hex::encode(&row.record)])
    });
    let sql = "INSERT INTO versions (file, version, hash, size, published_ms, publisher, record)
         SELECT unhex(n.value ->> 0), n.value ->> 1, unhex(n.value ->> 2), n.value ->> 3, $2, $3,
         unhex(n.value ->> 4) FROM json_each($1) n";
    sqlx::query(sql).bind(rows).bind(now_ms).bind(publisher).execute(c).await?;
    Ok(())
}

/// Writes events.
pub(super) async fn append_events(c: &mut Conn, events: &[StoredEvent], now_ms: i64) -> Result<()> {
    let rows = array(events, |event| {
        let file = event.file.map(|file| hex::encode(file.0.as_bytes()));
        json!([event.kind, file, event.payload])
    });
    let sql = "INSERT INTO outbox (kind, file, payload, created_ms)
         SELECT n.value ->> 0, unhex(n.value ->> 1), n.value ->> 2, $2 FROM json_each($1) n";
    sqlx::query(sql).bind(rows).bind(now_ms).execute(c).await?;
    Ok(())
}

/// Drops the versions of each file up to a number; their holders stay known as such.
pub(super) async fn drop_versions(c: &mut Conn, old: &[(Uuid, i64)]) -> Result<()> {
    let rows = keys(old);
    let sql = "INSERT INTO file_notices (peer, file, number) SELECT DISTINCT h.peer, h.file, 0
        FROM json_each($1) o
         CROSS JOIN holdings h ON h.file = unhex(o.value ->> 0) AND h.version <= o.value ->> 1
         WHERE TRUE ON CONFLICT DO NOTHING";
    sqlx::query(sql).bind(&rows).execute(&mut *c).await?;
    let sql = "DELETE FROM versions WHERE (file, version) IN (SELECT v.file, v.version FROM
        json_each($1) o
         CROSS JOIN versions v ON v.file = unhex(o.value ->> 0) AND v.version <= o.value ->> 1)";
    sqlx::query(sql).bind(&rows).execute(c).await?;
    Ok(())
}

/// Records of versions.
pub(super) async fn records(
    c: &mut Conn,
    wanted: &[(Uuid, i64)],
) -> Result<Vec<(Uuid, i64, Vec<u8>)>> {
    let sql = "SELECT v.file, v.version, v.record FROM json_each($1) k
         CROSS JOIN versions v ON v.file = unhex(k.value ->> 0) AND v.version = k.value ->> 1";
    Ok(sqlx::query_as(sql).bind(keys(wanted)).fetch_all(c).await?)
}

/// Files among these of which a peer that reports them is to be told: removed ones, and ones new to
/// it whose rights have changed before.
pub(super) async fn to_be_told(c: &mut Conn, peer: Uuid, files: &[Uuid]) -> Result<Vec<Uuid>> {
    let sql = "SELECT f.id FROM json_each($2) n CROSS JOIN files f ON f.id = unhex(n.value) WHERE
        f.removed_ms IS NOT NULL
         OR (f.serial > 1 AND NOT EXISTS (SELECT 1 FROM holdings h WHERE h.file = f.id AND h.peer
         = $1))";
    Ok(sqlx::query_scalar(sql).bind(peer).bind(ids(files)).fetch_all(c).await?)
}

/// Writes holdings of versions that are kept; others are passed over.
pub(super) async fn upsert_holdings(c: &mut Conn, peer: Uuid, rows: &[HoldingRow]) -> Result<()> {
    let rows = array(rows, |row| {
        json!([hex::encode(row.file.as_bytes()), row.version, row.bucket, i64::from(row.whole)])
    });
    let sql = "INSERT INTO holdings (file, version, peer, bucket, whole) SELECT v.file,
        v.version, $1, n.value ->> 2, n.value ->> 3
         FROM json_each($2) n CROSS JOIN versions v ON v.file = unhex(n.value ->> 0) AND
         v.version = n.value ->> 1
         WHERE TRUE ON CONFLICT (file, version, peer) DO UPDATE SET whole = excluded.whole WHERE
         holdings.whole <> excluded.whole";
    sqlx::query(sql).bind(peer).bind(rows).execute(c).await?;
    Ok(())
}

/// Drops holdings, and remembers when their files were last seen.
pub(super) async fn drop_holdings(
    c: &mut Conn,
    peer: Uuid,
    rows: &[(Uuid, i64)],
    now_ms: i64,
) -> Result<()> {
    let rows = keys(rows);
    let sql = "UPDATE files SET last_seen_ms = $3 WHERE id IN (SELECT h.file FROM json_each($2) g
         CROSS JOIN holdings h ON h.file = unhex(g.value ->> 0) AND h.version = g.value ->> 1 AND
         h.peer = $1)";
    sqlx::query(sql).bind(peer).bind(&rows).bind(now_ms).execute(&mut *c).await?;
    let sql = "DELETE FROM holdings WHERE peer = $1 AND (file, version) IN (SELECT unhex(g.value \
        ->> 0), g.value ->> 1 FROM json_each($2) g)";
    sqlx::query(sql).bind(peer).bind(&rows).execute(c).await?;
    Ok(())
}

/// Takes a file out of the text index, which needs the text that was put in.
pub(super) async fn forget_text(c: &mut Conn, file: Uuid) -> Result<()> {
    let sql = "SELECT seq, folded, starts FROM files WHERE id = $1 AND removed_ms IS NULL";
    let row: Option<(i64, String, String)> =
        sqlx::query_as(sql).bind(file).fetch_optional(&mut *c).await?;
    if let Some((seq, folded, starts)) = row {
        let text = unmarked(&folded) + &starts;
        sqlx::query("INSERT INTO names (names, rowid, text) VALUES ('delete', $1, $2)")
            .bind(seq)
            .bind(text)
            .execute(c)
            .await?;
    }
    Ok(())
}
