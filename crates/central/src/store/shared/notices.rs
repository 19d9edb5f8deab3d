//! Notices: numbered so that their order is the order of commits.

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use peral_model::{FileId, Identity, PeerId};
use peral_wire::rest::peers::Notice;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Conn, Database};
use crate::store::{
    Result, StoreError,
    notices::{MAX_NOTICES, NoticeList, Notices},
    rows::{hash, nat},
};

#[async_trait]
impl Notices for Database {
    async fn notices(&self, peer: PeerId, after: u64, now_ms: i64) -> Result<NoticeList> {
        read(&mut *self.reader().await?, peer, after, now_ms).await
    }
}

/// Takes the next `count` numbers and gives the first. Whoever takes later ones waits for this
/// transaction, so this comes late in it.
pub(super) async fn take_numbers(c: &mut Conn, count: usize) -> Result<i64> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let sql = "UPDATE counters SET value = value + $1 WHERE name = 'notices' RETURNING value";
    let last: i64 = sqlx::query_scalar(sql).bind(count).fetch_one(c).await?;
    Ok(last - count + 1)
}

/// Notifies everybody to serve these identities no more, until the time that goes with each.
pub(super) async fn revoke(
    c: &mut Conn,
    identities: Vec<(Identity, i64)>,
    now_ms: i64,
) -> Result<()> {
    let lasting: Vec<_> = identities.into_iter().filter(|(_, until)| *until > now_ms).collect();
    if lasting.is_empty() {
        return Ok(());
    }
    let mut number = take_numbers(c, lasting.len()).await?;
    for (identity, until_ms) in lasting {
        let sql = "INSERT INTO revocations (number, identity, until_ms) VALUES ($1, $2, $3)";
        sqlx::query(sql)
            .bind(number)
            .bind(identity.to_string())
            .bind(until_ms)
            .execute(&mut *c)
            .await?;
        number += 1;
    }
    Ok(())
}

/// Notifies all peers that hold a file, or held one of its versions, that it changed or went.
pub(super) async fn notify_holders(c: &mut Conn, file: FileId) -> Result<()> {
    let number = take_numbers(c, 1).await?;
    let holders = "INSERT INTO file_notices (peer, file, number) SELECT DISTINCT peer, file,
        CAST($2 AS BIGINT) FROM holdings WHERE file = $1
         ON CONFLICT (peer, file) DO UPDATE SET number = excluded.number";
    sqlx::query(holders).bind(file.0).bind(number).execute(&mut *c).await?;
    sqlx::query("UPDATE file_notices SET number = $2 WHERE file = $1")
        .bind(file.0)
        .bind(number)
        .execute(c)
        .await?;
    Ok(())
}

/// Notifies one peer of files that it reported.
pub(super) async fn notify(c: &mut Conn, peer: PeerId, files: &[Uuid]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let mut number = take_numbers(c, files.len()).await?;
    for file in files {
        let sql = "INSERT INTO file_notices (peer, file, number) VALUES ($1, $2, $3) ON CONFLICT \
            (peer, file) DO UPDATE SET number = excluded.number";
        sqlx::query(sql).bind(peer.0).bind(*file).bind(number).execute(&mut *c).await?;
        number += 1;
    }
    Ok(())
}

#[derive(FromRow)]
struct FileNotice {
    number: i64,
    file: Uuid,
    serial: i64,
    hash: Vec<u8>,
    removed_ms: Option<i64>,
}

async fn read(c: &mut Conn, peer: PeerId, after: u64, now_ms: i64) -> Result<NoticeList> {
    // First the newest number: everything up to it is committed and found below.
    let newest: i64 = sqlx::query_scalar("SELECT value FROM counters WHERE name = 'notices'")
        .fetch_one(&mut *c)
        .await?;
    let after = i64::try_from(after).ok().filter(|after| *after <= newest).unwrap_or(0);
    let mut all = revocations(c, after, now_ms).await?;
    let sql = "SELECT n.number, n.file, f.serial, f.hash, f.removed_ms FROM file_notices n JOIN
        files f ON f.id = n.file
         WHERE n.peer = $1 AND n.number > $2 AND n.number > 0 ORDER BY n.number LIMIT $3";
    let files: Vec<FileNotice> = sqlx::query_as(sql)
        .bind(peer.0)
        .bind(after)
        .bind(i64::from(MAX_NOTICES))
        .fetch_all(&mut *c)
        .await?;
    for row in files {
        all.push((row.number, file_notice(c, row).await?));
    }
    all.sort_by_key(|(number, _)| *number);
    let whole = all.len() < MAX_NOTICES as usize;
    all.truncate(MAX_NOTICES as usize);
    let last = all.last().map_or(after, |(number, _)| *number);
    let obeyed = if whole { last.max(newest) } else { last };
    Ok(NoticeList {
        notices: all.into_iter().map(|(_, notice)| notice).collect(),
        obeyed: nat(obeyed, "counters", "value", peer.0)?,
    })
}

#[derive(FromRow)]
struct RevocationRow {
    number: i64,
    identity: String,
    until_ms: i64,
}

async fn revocations(c: &mut Conn, after: i64, now_ms: i64) -> Result<Vec<(i64, Notice)>> {
    let sql = "SELECT number, identity, until_ms FROM revocations WHERE number > $1 AND until_ms \
        > $2 ORDER BY number LIMIT $3";
    let rows: Vec<RevocationRow> = sqlx::query_as(sql)
        .bind(after)
        .bind(now_ms)
        .bind(i64::from(MAX_NOTICES))
        .fetch_all(c)
        .await?;
    let notice = |row: RevocationRow| {
        let corrupt = |_| StoreError::Corrupt {
            table: "revocations",
            column: "identity",
            row: row.number.to_string(),
        };
        let identity = row.identity.parse().map_err(corrupt)?;
        Ok((row.number, Notice::Revoked { identity, until_ms: row.until_ms }))
    };
    rows.into_iter().map(notice).collect()
}

async fn file_notice(c: &mut Conn, row: FileNotice) -> Result<Notice> {
    let file = FileId(row.file);
    let serial = nat(row.serial, "files", "serial", row.file)?;
    if row.removed_ms.is_some() {
        return Ok(Notice::Removed { file, serial, hash: hash(&row.hash, "files", row.file)? });
    }
    let sql = "SELECT record FROM versions WHERE file = $1 ORDER BY version DESC";
    let records: Vec<Vec<u8>> = sqlx::query_scalar(sql).bind(row.file).fetch_all(c).await?;
    Ok(Notice::Changed {
        file,
        serial,
        records: records.iter().map(|record| STANDARD.encode(record)).collect(),
    })
}
