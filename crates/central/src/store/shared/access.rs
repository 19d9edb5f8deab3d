//! Access lists and tags of files.

use peral_model::FileId;
use peral_wire::rest::files::{Access, Right};
use uuid::Uuid;

use super::{
    Conn,
    principals::{Principal, principal},
};
use crate::store::{Refusal, Result};

/// Most lines of an access list.
const MAX_ACCESS: i64 = 1000;

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

/// Changes the access list; true if that changed anything.
pub(super) async fn change(
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
            return Err(Refusal::TooMany("lines of an access list").into());
        }
    }
    Ok(changed)
}
