//! Looking files up: one by its name, a version, its holders.

use async_trait::async_trait;
use futures::FutureExt;
use peral_model::{FileName, PeerId};
use peral_wire::rest::files::{FileChange, FileDetail, Located, LocatedPeer, Source};

use super::{
    Conn, Database,
    detail::{detail, row},
    manage,
};
use crate::store::{
    Result, StoreError, Viewer,
    files::{FileKey, Files, FoundVersion, SourceList, SourcesOf},
    publish::Seal,
    rows::{RecordRow, SourceRow, int, nat},
};

/// Most holders that [`Files::locate`] names.
const MAX_LOCATED: i64 = 1000;

#[async_trait]
impl Files for Database {
    async fn file(
        &self,
        name: &FileName,
        viewer: Viewer,
        now_ms: i64,
    ) -> Result<Option<FileDetail>> {
        detail(&mut *self.reader().await?, name, viewer, now_ms).await
    }
    async fn find(
        &self,
        key: FileKey,
        version: Option<u64>,
        viewer: Viewer,
    ) -> Result<Option<FoundVersion>> {
        find(&mut *self.reader().await?, &key, version, viewer).await
    }
    async fn sources(&self, of: SourcesOf) -> Result<SourceList> {
        sources(&mut *self.reader().await?, &of).await
    }
    async fn locate(
        &self,
        name: &FileName,
        viewer: Viewer,
        now_ms: i64,
    ) -> Result<Option<Located>> {
        locate(&mut *self.reader().await?, name, viewer, now_ms).await
    }
    async fn change_file(
        &self,
        name: &FileName,
        viewer: Viewer,
        change: FileChange,
        seal: Seal,
        now_ms: i64,
    ) -> Result<Option<FileDetail>> {
        let args = (name.clone(), viewer, change, seal, now_ms);
        self.write(args, |c, (name, viewer, new, seal, now_ms)| {
            manage::change(c, name, *viewer, new, seal, *now_ms).boxed()
        })
        .await
    }
    async fn delete_file(&self, name: &FileName, viewer: Viewer, now_ms: i64) -> Result<bool> {
        let args = (name.clone(), viewer, now_ms);
        self.write(args, |c, (name, viewer, now_ms)| {
            manage::remove(c, name, *viewer, *now_ms).boxed()
        })
        .await
    }
}

macro_rules! record {
    ($from:literal, $order:literal) => {
        concat!(
            "SELECT f.id AS file, f.name, f.owner, f.public, f.serial, v.version, v.hash, v.size, \
             v.published_ms, v.record FROM ",
            $from,
            " AND f.removed_ms IS NULL AND ",
            visible!(),
            $order
        )
    };
}

async fn find(
    c: &mut Conn,
    key: &FileKey,
    version: Option<u64>,
    viewer: Viewer,
) -> Result<Option<FoundVersion>> {
    let sql = match key {
        FileKey::Name(_) => record!(
            "files f JOIN versions v ON v.file = f.id AND v.version = COALESCE($3, f.version) \
             WHERE f.name = $4",
            ""
        ),
        FileKey::Id(_) => record!(
            "files f JOIN versions v ON v.file = f.id AND v.version = COALESCE($3, f.version) \
             WHERE f.id = $4",
            ""
        ),
        FileKey::Hash(_) => record!(
            "versions v JOIN files f ON f.id = v.file WHERE v.version = COALESCE($3, v.version) \
             AND v.hash = $4",
            " ORDER BY (v.version = f.version) DESC, v.published_ms DESC, f.id LIMIT 1"
        ),
    };
    let query =
        sqlx::query_as(sql).bind(viewer.account.0).bind(viewer.admin).bind(version.map(int));
    let row: Option<RecordRow> = match key {
        FileKey::Name(name) => query.bind(name.as_str()).fetch_optional(c).await?,
        FileKey::Id(id) => query.bind(id.0).fetch_optional(c).await?,
        FileKey::Hash(hash) => query.bind(hash.to_vec()).fetch_optional(c).await?,
    };
    let found = row.map(RecordRow::found).transpose()?;
    Ok(found.map(|(record, envelope)| FoundVersion { record, envelope }))
}

async fn sources(c: &mut Conn, of: &SourcesOf) -> Result<SourceList> {
    let sql = "SELECT p.id AS peer, p.address, p.node, p.zone, h.whole FROM holdings h JOIN
        leases l ON l.peer = h.peer JOIN peers p ON p.id = h.peer
         WHERE h.file = $1 AND h.version = $2 AND l.ends_ms > $3 AND l.state <> 2
         ORDER BY CASE WHEN p.node = $4 AND p.node <> '' THEN 0 WHEN p.zone = $5 AND p.zone <> ''
         THEN 1 ELSE 2 END, random() LIMIT $6";
    let query = sqlx::query_as(sql)
        .bind(of.file.0)
        .bind(int(of.version))
        .bind(of.now_ms)
        .bind(&of.node)
        .bind(&of.zone);
    let rows: Vec<SourceRow> = query.bind(i64::from(of.limit)).fetch_all(&mut *c).await?;
    let sql = "SELECT count(*) FROM holdings h JOIN leases l ON l.peer = h.peer JOIN peers p ON
        p.id = h.peer
         WHERE h.file = $1 AND h.version = $2 AND NOT (l.ends_ms > $3 AND l.state <> 2) AND NOT
         p.revoked";
    let away: i64 = sqlx::query_scalar(sql)
        .bind(of.file.0)
        .bind(int(of.version))
        .bind(of.now_ms)
        .fetch_one(c)
        .await?;
    Ok(SourceList {
        sources: rows.into_iter().map(Source::from).collect(),
        away: nat(away, "holdings", "peer", of.file.0)?,
    })
}

async fn locate(
    c: &mut Conn,
    name: &FileName,
    viewer: Viewer,
    now_ms: i64,
) -> Result<Option<Located>> {
    let Some(row) = row(c, name, viewer, now_ms).await? else { return Ok(None) };
    let sql = "SELECT p.id AS peer, p.address, p.node, p.zone, h.whole FROM holdings h JOIN
        leases l ON l.peer = h.peer JOIN peers p ON p.id = h.peer
         WHERE h.file = $1 AND h.version = $2 AND l.ends_ms > $3 AND l.state <> 2 ORDER BY p.id
         LIMIT $4";
    let query = sqlx::query_as(sql).bind(row.id).bind(row.version).bind(now_ms).bind(MAX_LOCATED);
    let holders: Vec<SourceRow> = query.fetch_all(c).await?;
    Ok(Some(Located {
        file: row.file()?,
        peers: holders.iter().map(located).collect::<Result<_>>()?,
    }))
}

fn located(row: &SourceRow) -> Result<LocatedPeer> {
    let corrupt =
        || StoreError::Corrupt { table: "peers", column: "address", row: row.peer.to_string() };
    let (address, port) = row.address.rsplit_once(':').ok_or_else(corrupt)?;
    let address = address.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(LocatedPeer {
        peer: PeerId(row.peer),
        address,
        port: port.parse().map_err(|_| corrupt())?,
        complete: row.whole,
    })
}
