//! A file of a name, as a viewer may see it: in full, and for a change.

use peral_model::{FileId, FileName};
use peral_wire::rest::files::{Access, FileDetail, Version};
use sqlx::FromRow;
use uuid::Uuid;

use super::Conn;
use crate::store::{
    Result, Viewer,
    rows::{FileRow, hash, nat, right},
};

pub(super) async fn row(
    c: &mut Conn,
    name: &FileName,
    viewer: Viewer,
    now_ms: i64,
) -> Result<Option<FileRow>> {
    let sql = concat!(
        "SELECT ",
        file_columns!(),
        " FROM files f JOIN accounts o ON o.id = f.owner WHERE f.name = $4 AND f.removed_ms IS \
         NULL AND ",
        visible!()
    );
    let query = sqlx::query_as(sql).bind(viewer.account.0).bind(viewer.admin).bind(now_ms);
    Ok(query.bind(name.as_str()).fetch_optional(c).await?)
}

pub(super) async fn detail(
    c: &mut Conn,
    name: &FileName,
    viewer: Viewer,
    now_ms: i64,
) -> Result<Option<FileDetail>> {
    let Some(row) = row(c, name, viewer, now_ms).await? else { return Ok(None) };
    let id = row.id;
    let versions = versions(c, id, now_ms).await?;
    let access = access(c, id, viewer).await?;
    Ok(Some(FileDetail { file: row.file()?, versions, access }))
}

#[derive(FromRow)]
struct KeptRow {
    version: i64,
    hash: Vec<u8>,
    size: i64,
    published_ms: i64,
    sources: i64,
}

async fn versions(c: &mut Conn, file: Uuid, now_ms: i64) -> Result<Vec<Version>> {
    let sql = "SELECT v.version, v.hash, v.size, v.published_ms, (SELECT count(*) FROM holdings h
        JOIN leases l ON l.peer = h.peer
         WHERE h.file = v.file AND h.version = v.version AND h.whole AND l.ends_ms > $2 AND
         l.state <> 2) AS sources
         FROM versions v WHERE v.file = $1 ORDER BY v.version DESC";
    let rows: Vec<KeptRow> = sqlx::query_as(sql).bind(file).bind(now_ms).fetch_all(c).await?;
    let version = |row: KeptRow| {
        Ok(Version {
            version: nat(row.version, "versions", "version", file)?,
            hash: hash(&row.hash, "versions", file)?,
            size: nat(row.size, "versions", "size", file)?,
            published_ms: row.published_ms,
            sources: nat(row.sources, "holdings", "peer", file)?,
        })
    };
    rows.into_iter().map(version).collect()
}

#[derive(FromRow)]
struct AccessRow {
    is_group: bool,
    name: String,
    can_write: bool,
}

/// The access list, for those who manage the file.
async fn access(c: &mut Conn, file: Uuid, viewer: Viewer) -> Result<Vec<Access>> {
    let sql = "SELECT x.is_group, COALESCE(a.name, g.name) AS name, x.can_write
         FROM access x JOIN files f ON f.id = x.file
         LEFT JOIN accounts a ON a.id = x.principal LEFT JOIN groups g ON g.id = x.principal
         WHERE x.file = $3 AND (f.owner = $1 OR $2) AND COALESCE(a.name, g.name) IS NOT NULL";
    let query = sqlx::query_as(sql).bind(viewer.account.0).bind(viewer.admin).bind(file);
    let rows: Vec<AccessRow> = query.fetch_all(c).await?;
    let line = |row: AccessRow| Access {
        who: if row.is_group { format!("group:{}", row.name) } else { row.name },
        right: right(row.can_write),
    };
    let mut lines: Vec<Access> = rows.into_iter().map(line).collect();
    lines.sort_by(|a, b| a.who.cmp(&b.who));
    Ok(lines)
}

/// The file of this name as its owner or an administrator sees it, locked; `None` where the viewer
/// sees none.
#[derive(FromRow)]
pub(super) struct Managed {
    pub id: Uuid,
    pub public: bool,
    pub serial: i64,
    pub manages: bool,
}

pub(super) async fn managed(
    c: &mut Conn,
    name: &FileName,
    viewer: Viewer,
) -> Result<Option<(FileId, Managed)>> {
    let sql = concat!(
        "SELECT f.id, f.public, f.serial, (f.owner = $1 OR $2) AS manages FROM files f WHERE \
         f.name = $3 AND f.removed_ms IS NULL AND ",
        visible!(),
        update!()
    );
    let row: Option<Managed> = sqlx::query_as(sql)
        .bind(viewer.account.0)
        .bind(viewer.admin)
        .bind(name.as_str())
        .fetch_optional(c)
        .await?;
    Ok(row.map(|row| (FileId(row.id), row)))
}
