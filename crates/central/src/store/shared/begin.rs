//! Beginning an upload.

use peral_model::{PeerId, UploadId};
use peral_wire::rest::files::Right;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Conn, principals::principal};
use crate::store::{
    Refusal, Result,
    peers::PeerLocation,
    publish::{BegunUpload, MAX_UPLOADS, NewUpload, UPLOAD_MS},
    rows::{int, new_id, visibility},
};

/// Access list and tags of a new name, as `uploads.extras` keeps them.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Extras {
    pub access: Vec<AccessLine>,
    pub tags: Vec<String>,
}

/// A line of an access list.
#[derive(Serialize, Deserialize)]
pub(super) struct AccessLine {
    pub principal: Uuid,
    pub is_group: bool,
    pub can_write: bool,
}

pub(super) async fn begin(c: &mut Conn, upload: &NewUpload) -> Result<BegunUpload> {
    let open =
        "SELECT count(*) FROM uploads WHERE account = $1 AND done_file IS NULL AND ends_ms > $2";
    let open: i64 = sqlx::query_scalar(open)
        .bind(upload.viewer.account.0)
        .bind(upload.now_ms)
        .fetch_one(&mut *c)
        .await?;
    if open >= i64::from(MAX_UPLOADS) {
        return Err(Refusal::TooMany("unfinished uploads of an account").into());
    }
    let current = writable(c, upload).await?;
    let public = current
        .as_ref()
        .map_or(upload.visibility == peral_model::Visibility::Public, |current| current.public);
    let extras = extras(c, upload).await?;
    let (peer, place) = choose(c, upload).await?;
    let id = new_id(upload.now_ms);
    sqlx::query(
        "INSERT INTO uploads (id, account, admin, peer, name, size, public, extras,
         replaces_file, replaces_version, ends_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(id)
    .bind(upload.viewer.account.0)
    .bind(upload.viewer.admin)
    .bind(peer.0)
    .bind(upload.name.as_str())
    .bind(int(upload.size))
    .bind(public)
    .bind(extras)
    .bind(current.map(|current| current.id))
    .bind(int(upload.replaces))
    .bind(upload.now_ms + UPLOAD_MS)
    .execute(c)
    .await?;
    Ok(BegunUpload { id: UploadId(id), peer, place, visibility: visibility(public) })
}

#[derive(FromRow)]
struct ReplacedRow {
    id: Uuid,
    public: bool,
    version: i64,
    may_write: bool,
}

/// The file that the upload replaces, if there is one; checks that it may.
async fn writable(c: &mut Conn, upload: &NewUpload) -> Result<Option<ReplacedRow>> {
    let sql = "SELECT f.id, f.public, f.version, ($2 OR f.owner = $1 OR EXISTS (SELECT 1 FROM
        access x WHERE x.file = f.id AND x.can_write
         AND (x.principal = $1 OR x.principal IN (SELECT m.grp FROM members m WHERE m.account =
         $1)))) AS may_write
         FROM files f WHERE f.name = $3 AND f.removed_ms IS NULL";
    let query = sqlx::query_as(sql)
        .bind(upload.viewer.account.0)
        .bind(upload.viewer.admin)
        .bind(upload.name.as_str());
    let current: Option<ReplacedRow> = query.fetch_optional(c).await?;
    match &current {
        Some(current) if !current.may_write => Err(Refusal::NameTaken.into()),
        Some(current) if current.version != int(upload.replaces) => {
            Err(Refusal::VersionConflict.into())
        }
        None if upload.replaces != 0 => Err(Refusal::VersionConflict.into()),
        _ => Ok(current),
    }
}

async fn extras(c: &mut Conn, upload: &NewUpload) -> Result<String> {
    let mut extras = Extras { access: Vec::new(), tags: upload.tags.clone() };
    for line in &upload.access {
        let principal = principal(c, &line.who).await?;
        extras.access.push(AccessLine {
            principal: principal.id,
            is_group: principal.is_group,
            can_write: line.right == Right::Write,
        });
    }
    Ok(serde_json::json!(extras).to_string())
}

#[derive(FromRow)]
struct RoomRow {
    id: Uuid,
    address: String,
    node: String,
    zone: String,
    room: i64,
}

/// The peer that was asked for, or the one with the most room when what is on its way there is
/// taken off.
async fn choose(c: &mut Conn, upload: &NewUpload) -> Result<(PeerId, PeerLocation)> {
    let sql = "SELECT p.id, p.address, p.node, p.zone, l.room - COALESCE((SELECT CAST(sum(u.size)
        AS BIGINT) FROM uploads u
         WHERE u.peer = p.id AND u.done_file IS NULL AND u.ends_ms > $1), 0) AS room
         FROM leases l JOIN peers p ON p.id = l.peer WHERE l.ends_ms > $1 AND (l.state = 0 OR ($3
         AND l.state = 1)) AND NOT p.revoked
         AND (p.id = $2 OR $2 IS NULL) ORDER BY 5 DESC LIMIT 1";
    let asked = upload.peer.map(|peer| peer.0);
    let row: Option<RoomRow> = sqlx::query_as(sql)
        .bind(upload.now_ms)
        .bind(asked)
        .bind(upload.placed)
        .fetch_optional(&mut *c)
        .await?;
    match row {
        Some(row) if upload.placed || row.room >= int(upload.size) => Ok((
            PeerId(row.id),
            PeerLocation { address: row.address, node: row.node, zone: row.zone },
        )),
        None if asked.is_some() => {
            let full = full_peers(c, upload).await? > 0;
            Err(if full { Refusal::PeerFull } else { Refusal::PeerUnavailable }.into())
        }
        None if full_peers(c, upload).await? == 0 => Err(Refusal::NobodyOnline.into()),
        _ => Err(Refusal::NoRoom.into()),
    }
}

/// How many peers are online and full, of all or as the one asked for.
async fn full_peers(c: &mut Conn, upload: &NewUpload) -> Result<i64> {
    let sql = "SELECT count(*) FROM leases WHERE (peer = $1 OR $1 IS NULL) AND ends_ms > $2
         AND state = 1";
    let asked = upload.peer.map(|peer| peer.0);
    Ok(sqlx::query_scalar(sql).bind(asked).bind(upload.now_ms).fetch_one(c).await?)
}
