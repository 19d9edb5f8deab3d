//! What owners and administrators do with a file: change who may have it, tag it, remove it.

use peral_model::{FileId, FileName, Visibility};
use peral_wire::rest::files::{Access, FileChange, FileDetail, Right};
use uuid::Uuid;

use super::{Conn, bulk, files, notices, upkeep::event};
use crate::store::{
    Refusal, Result, Viewer,
    publish::Seal,
    rows::{RecordRow, int},
};

/// Most lines of an access list.
const MAX_ACCESS: i64 = 1000;

/// An account or a group of an access list.
#[derive(Clone, Copy)]
pub(super) struct Principal {
    pub id: Uuid,
    pub is_group: bool,
}

/// The account or group that a line of an access list names.
pub(super) async fn principal(c: &mut Conn, who: &str) -> Result<Principal> {
    let (sql, name, is_group) = match who.strip_prefix("group:") {
        Some(group) => ("SELECT id FROM groups WHERE name = $1", group, true),
        None => ("SELECT id FROM accounts WHERE name = $1", who, false),
    };
    let id: Option<Uuid> = sqlx::query_scalar(sql).bind(name).fetch_optional(c).await?;
    Ok(Principal { id: id.ok_or_else(|| Refusal::UnknownPrincipal(who.into()))?, is_group })
}

/// Adds or changes a line; true if that changed anything.
pub(super) async fn grant(
    c: &mut Conn,
    file: Uuid,
    principal: Principal,
    can_write: bool,
) -> Result<bool> {
    let sql = "INSERT INTO access (file, principal, is_group, can_write) VALUES ($1, $2, $3, $4)
         ON CONFLICT (file, principal) DO UPDATE SET can_write = excluded.can_write WHERE
         access.can_write <> excluded.can_write";
    let query =
        sqlx::query(sql).bind(file).bind(principal.id).bind(principal.is_group).bind(can_write);
    Ok(query.execute(c).await?.rows_affected() > 0)
}

/// Sets all tags.
pub(super) async fn tag(c: &mut Conn, file: Uuid, tags: &[String]) -> Result<()> {
    sqlx::query("DELETE FROM tags WHERE file = $1").bind(file).execute(&mut *c).await?;
    for tag in tags {
        let sql = "INSERT INTO tags (tag, file) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        sqlx::query(sql).bind(tag).bind(file).execute(&mut *c).await?;
    }
    Ok(())
}

pub(super) async fn change(
    c: &mut Conn,
    name: &FileName,
    viewer: Viewer,
    change: &FileChange,
    seal: &Seal,
    now_ms: i64,
) -> Result<Option<FileDetail>> {
    let Some((id, file)) = files::managed(c, name, viewer).await? else { return Ok(None) };
    if !file.manages {
        return Err(Refusal::Forbidden.into());
    }
    let mut rights = change_access(c, id, &change.grant, &change.withdraw).await?;
    let public =
        change.visibility.map_or(file.public, |visibility| visibility == Visibility::Public);
    rights |= public != file.public;
    if let Some(tags) = &change.tags {
        tag(c, id.0, tags).await?;
    }
    if rights {
        let sql = "UPDATE files SET public = $2, serial = serial + 1 WHERE id = $1";
        sqlx::query(sql).bind(id.0).bind(public).execute(&mut *c).await?;
        sign_again(c, id, seal).await?;
    }
    event(
        c,
        "file.changed",
        Some(id.0),
        &serde_json::json!({ "name": name, "public": public, "rights": rights }),
        now_ms,
    )
    .await?;
    if rights {
        notices::tell_holders(c, id).await?;
    }
    files::detail(c, name, viewer, now_ms).await
}

/// Changes the access list; true if that changed anything.
async fn change_access(
    c: &mut Conn,
    file: FileId,
    lines: &[Access],
    withdraw: &[String],
) -> Result<bool> {
    let mut changed = false;
    for who in withdraw {
        let principal = principal(c, who).await?;
        let sql = "DELETE FROM access WHERE file = $1 AND principal = $2";
        changed |= sqlx::query(sql)
            .bind(file.0)
            .bind(principal.id)
            .execute(&mut *c)
            .await?
            .rows_affected()
            > 0;
    }
    for line in lines {
        let principal = principal(c, &line.who).await?;
        changed |= grant(c, file.0, principal, line.right == Right::Write).await?;
    }
    if !lines.is_empty() {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM access WHERE file = $1")
            .bind(file.0)
            .fetch_one(c)
            .await?;
        if count > MAX_ACCESS {
            return Err(Refusal::TooMany("lines on the access list").into());
        }
    }
    Ok(changed)
}

/// Signs the records of all kept versions again, with the file's serial and visibility as they are
/// now.
async fn sign_again(c: &mut Conn, file: FileId, seal: &Seal) -> Result<()> {
    let sql = "SELECT f.id AS file, f.name, f.owner, f.public, f.serial, v.version, v.hash,
        v.size, v.published_ms, v.record
         FROM files f JOIN versions v ON v.file = f.id WHERE f.id = $1";
    let rows: Vec<RecordRow> = sqlx::query_as(sql).bind(file.0).fetch_all(&mut *c).await?;
    for row in rows {
        let (record, _) = row.found()?;
        let sql = "UPDATE versions SET record = $3 WHERE file = $1 AND version = $2";
        sqlx::query(sql)
            .bind(file.0)
            .bind(int(record.version))
            .bind(seal(&record))
            .execute(&mut *c)
            .await?;
    }
    Ok(())
}

pub(super) async fn remove(
    c: &mut Conn,
    name: &FileName,
    viewer: Viewer,
    now_ms: i64,
) -> Result<bool> {
    let Some((id, file)) = files::managed(c, name, viewer).await? else { return Ok(false) };
    if !file.manages {
        return Err(Refusal::Forbidden.into());
    }
    bulk::forget_text(c, id.0).await?;
    let sql = "UPDATE files SET removed_ms = $2, serial = serial + 1 WHERE id = $1";
    sqlx::query(sql).bind(id.0).bind(now_ms).execute(&mut *c).await?;
    sqlx::query("DELETE FROM tags WHERE file = $1").bind(id.0).execute(&mut *c).await?;
    event(
        c,
        "file.removed",
        Some(id.0),
        &serde_json::json!({ "name": name, "public": file.public, "serial": file.serial + 1 }),
        now_ms,
    )
    .await?;
    // Their rows say who is to be told, so they go after that.
    notices::tell_holders(c, id).await?;
    sqlx::query("DELETE FROM versions WHERE file = $1").bind(id.0).execute(c).await?;
    Ok(true)
}
