//! What owners and administrators do with a file: change who may have it, tag it, remove it.

use peral_model::{
    FileId, FileName, Visibility,
    event::{FileChanged, FileRemoved},
};
use peral_wire::rest::files::{FileChange, FileDetail};

use super::{Conn, access, bulk, detail, events, notices};
use crate::store::{
    Refusal, Result, Viewer,
    publish::Seal,
    rows::{RecordRow, int, nat},
};

pub(super) async fn change(
    c: &mut Conn,
    name: &FileName,
    viewer: Viewer,
    change: &FileChange,
    seal: &Seal,
    now_ms: i64,
) -> Result<Option<FileDetail>> {
    let Some((id, file)) = detail::managed(c, name, viewer).await? else { return Ok(None) };
    if !file.manages {
        return Err(Refusal::Forbidden.into());
    }
    let mut rights = access::change(c, id, &change.grant, &change.withdraw).await?;
    let public =
        change.visibility.map_or(file.public, |visibility| visibility == Visibility::Public);
    rights |= public != file.public;
    if let Some(tags) = &change.tags {
        access::tag(c, id.0, tags).await?;
    }
    if rights {
        let sql = "UPDATE files SET public = $2, serial = serial + 1 WHERE id = $1";
        sqlx::query(sql).bind(id.0).bind(public).execute(&mut *c).await?;
        sign_again(c, id, seal).await?;
    }
    let event = FileChanged { file: id, name: name.clone(), public, rights };
    events::append(c, &[event.into()], now_ms).await?;
    if rights {
        notices::notify_holders(c, id).await?;
    }
    detail::detail(c, name, viewer, now_ms).await
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
    let Some((id, file)) = detail::managed(c, name, viewer).await? else { return Ok(false) };
    if !file.manages {
        return Err(Refusal::Forbidden.into());
    }
    bulk::forget_text(c, id.0).await?;
    let sql = "UPDATE files SET removed_ms = $2, serial = serial + 1 WHERE id = $1";
    sqlx::query(sql).bind(id.0).bind(now_ms).execute(&mut *c).await?;
    sqlx::query("DELETE FROM tags WHERE file = $1").bind(id.0).execute(&mut *c).await?;
    let serial = nat(file.serial, "files", "serial", id.0)? + 1;
    let event = FileRemoved { file: id, name: name.clone(), public: file.public, serial };
    events::append(c, &[event.into()], now_ms).await?;
    // Their rows say who gets the notice, so they go after that.
    notices::notify_holders(c, id).await?;
    sqlx::query("DELETE FROM versions WHERE file = $1").bind(id.0).execute(c).await?;
    Ok(true)
}
