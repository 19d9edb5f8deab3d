//! Peers.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::FutureExt;
use peral_model::{
    AccountId, Identity, PeerId,
    event::{PeerJoined, PeerLeft, PeerRevoked},
};
use peral_wire::rest::{
    Page,
    peers::{ListedState, Peer},
};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Conn, Database, events, notices, principals, reports};
use crate::store::{
    Paging, Refusal, Result, StoreError,
    peers::{
        Beat, Beaten, KnownPeer, Peers, Place, Pod, Registered, Registering, RegisteringPod, Writer,
    },
    rows::{BeatenRow, int, nat, new_id},
};

#[async_trait]
impl Peers for Database {
    async fn register(&self, peer: Registering) -> Result<Registered> {
        self.write(peer, |c, peer| register(c, peer).boxed()).await
    }
    async fn peer(&self, id: PeerId) -> Result<Option<KnownPeer>> {
        get(&mut *self.reader().await?, id).await
    }
    async fn renew_peer(&self, writer: Writer, certificate_ends_ms: i64) -> Result<()> {
        self.write((writer, certificate_ends_ms), |c, (writer, ends_ms)| {
            renew(c, *writer, *ends_ms).boxed()
        })
        .await
    }
    async fn beat(&self, beats: Vec<Beat>) -> Result<Beaten> {
        self.write(beats, |c, beats| beat(c, beats).boxed()).await
    }
    async fn peers(&self, paging: Paging, now_ms: i64) -> Result<Page<Peer>> {
        list(&mut *self.reader().await?, &paging, now_ms).await
    }
    async fn log_out_peer(&self, id: PeerId, epoch: Option<u64>, now_ms: i64) -> Result<bool> {
        self.write((id, epoch, now_ms), |c, (id, epoch, now_ms)| {
            log_out(c, *id, *epoch, *now_ms).boxed()
        })
        .await
    }
    async fn revoke_peer(&self, id: PeerId, now_ms: i64) -> Result<bool> {
        self.write((id, now_ms), |c, (id, now_ms)| revoke(c, *id, *now_ms).boxed()).await
    }
}

/// Checks that the writer's epoch is the current one and holds it for the rest of the transaction;
/// gives the peer's account.
pub(super) async fn fence(c: &mut Conn, writer: Writer) -> Result<AccountId> {
    let sql = concat!(
        "SELECT account FROM peers WHERE id = $1 AND epoch = $2 AND NOT revoked AND NOT logged_out",
        share!()
    );
    let account: Option<Uuid> = sqlx::query_scalar(sql)
        .bind(writer.peer.0)
        .bind(int(writer.epoch))
        .fetch_optional(c)
        .await?;
    account.map(AccountId).ok_or_else(|| Refusal::StaleEpoch.into())
}

#[derive(FromRow)]
struct KnownKey {
    id: Uuid,
    account: Uuid,
    pod: Option<String>,
}

async fn register(c: &mut Conn, peer: &Registering) -> Result<Registered> {
    let sql = "SELECT id, account, pod FROM peers WHERE public_key = $1";
    let known: Option<KnownKey> =
        sqlx::query_as(sql).bind(&peer.public_key).fetch_optional(&mut *c).await?;
    let registered = match (known, &peer.pod) {
        (Some(known), _) => {
            same_pod(known.pod.as_deref(), peer.pod.as_ref())?;
            again(c, peer, known.id, known.account).await?
        }
        (None, Some(pod)) => join_as_pod(c, peer, pod).await?,
        (None, None) => join(c, peer).await?,
    };
    let lease = "INSERT INTO leases (peer, epoch, state, room, seen_ms, ends_ms) VALUES ($1, $2,
        0, 0, $3, $4)
         ON CONFLICT (peer) DO UPDATE SET epoch = excluded.epoch, state = 0, seen_ms =
         excluded.seen_ms, ends_ms = excluded.ends_ms";
    let query = sqlx::query(lease).bind(registered.peer.0).bind(int(registered.epoch));
    query.bind(peer.now_ms).bind(peer.lease_ends_ms).execute(&mut *c).await?;
    let event = PeerJoined { peer: registered.peer, epoch: registered.epoch };
    events::append(c, &[event.into()], peer.now_ms).await?;
    Ok(registered)
}

/// A peer that is a pod stays that pod, and one that is none becomes none.
fn same_pod(known: Option<&str>, given: Option<&RegisteringPod>) -> Result<()> {
    match (known, given.map(|given| given.pod.name.as_str())) {
        (None, None) => Ok(()),
        (Some(known), Some(given)) if known == given => Ok(()),
        (Some(_), Some(_)) => Err(Refusal::OtherPod.into()),
        (Some(_), None) => Err(Refusal::NeedsPod.into()),
        (None, Some(_)) => Err(Refusal::NotAPod.into()),
    }
}

/// A known key: the same peer with the next epoch.
async fn again(c: &mut Conn, peer: &Registering, id: Uuid, account: Uuid) -> Result<Registered> {
    principals::enabled(c, account).await?.ok_or(Refusal::Revoked)?;
    let sql = "UPDATE peers SET epoch = epoch + 1, logged_out = FALSE, address = $2, label = $3,
        node = $4, zone = $5, version = $6,
         certificate_ends_ms = CASE WHEN certificate_ends_ms > $7 THEN certificate_ends_ms ELSE
         $7 END, pod_uid = $8
         WHERE id = $1 AND NOT revoked RETURNING epoch, last_delta";
    let query = sqlx::query_as(sql)
        .bind(id)
        .bind(&peer.address)
        .bind(&peer.label)
        .bind(&peer.node)
        .bind(&peer.zone);
    let query = query
        .bind(&peer.version)
        .bind(peer.certificate_ends_ms)
        .bind(peer.pod.as_ref().map(|pod| &pod.pod.uid));
    let row: Option<(i64, i64)> = query.fetch_optional(c).await?;
    let (epoch, last_delta) = row.ok_or(Refusal::PeerRevoked)?;
    let (epoch, last_delta) =
        (nat(epoch, "peers", "epoch", id)?, nat(last_delta, "peers", "last_delta", id)?);
    Ok(Registered {
        peer: PeerId(id),
        epoch,
        account: AccountId(account),
        last_delta,
        new: false,
        ended: None,
    })
}

/// A new key: takes one use of its join token.
async fn join(c: &mut Conn, peer: &Registering) -> Result<Registered> {
    let token = peer.join_token.as_ref().ok_or(Refusal::BadToken)?;
    let sql = "UPDATE join_tokens SET uses_left = uses_left - 1 WHERE hash = $1 AND uses_left > 0 \
        AND ends_ms > $2 RETURNING account";
    let account: Option<Uuid> =
        sqlx::query_scalar(sql).bind(token).bind(peer.now_ms).fetch_optional(&mut *c).await?;
    add(c, peer, account.ok_or(Refusal::BadToken)?).await
}

/// A peer that a pod was before.
#[derive(FromRow)]
struct PodPeer {
    id: Uuid,
    pod_uid: Option<String>,
    same_key: bool,
    revoked: bool,
}

/// A new key of a pod: ends the peer that the pod's name was before. A pod keeps its volume, and so
/// its key, for as long as it is there: another key with the token of the same pod is somebody
/// else's, who has taken the token.
async fn join_as_pod(c: &mut Conn, peer: &Registering, pod: &RegisteringPod) -> Result<Registered> {
    let account = principals::member(c, &pod.account, peer.now_ms).await?;
    let sql = concat!(
        "SELECT id, pod_uid, public_key = $3 AS same_key, revoked FROM peers WHERE pod = $1 AND (NOT revoked \
         OR pod_uid = $2) ORDER BY id",
        update!()
    );
    let query = sqlx::query_as(sql).bind(&pod.pod.name).bind(&pod.pod.uid).bind(&peer.public_key);
    let before: Vec<PodPeer> = query.fetch_all(&mut *c).await?;
    if let Some(same) = before.iter().find(|row| row.pod_uid.as_ref() == Some(&pod.pod.uid)) {
        // The same key registered at the same time: it is known at the next try.
        return Err(if same.same_key { StoreError::Raced } else { Refusal::OtherKey.into() });
    }
    let ended = before.iter().find(|row| !row.revoked).map(|row| PeerId(row.id));
    if let Some(before) = ended {
        revoke(c, before, peer.now_ms).await?;
    }
    Ok(Registered { ended, ..add(c, peer, account).await? })
}

/// A new peer of an account.
async fn add(c: &mut Conn, peer: &Registering, account: Uuid) -> Result<Registered> {
    principals::enabled(c, account).await?.ok_or(Refusal::Revoked)?;
    let id = new_id(peer.now_ms);
    let pod = peer.pod.as_ref().map(|pod| &pod.pod);
    let made = sqlx::query(
        "INSERT INTO peers (id, public_key, account, epoch, label, address, node, zone, version,
         certificate_ends_ms, created_ms, pod, pod_uid)
         VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(&peer.public_key)
    .bind(account)
    .bind(&peer.label)
    .bind(&peer.address)
    .bind(&peer.node)
    .bind(&peer.zone)
    .bind(&peer.version)
    .bind(peer.certificate_ends_ms)
    .bind(peer.now_ms)
    .bind(pod.map(|pod| &pod.name))
    .bind(pod.map(|pod| &pod.uid))
    .execute(c)
    .await?;
    if made.rows_affected() == 0 {
        // The same key, or another of the same pod, registered at the same time: undone here, and
        // known at the next try.
        return Err(StoreError::Raced);
    }
    Ok(Registered {
        peer: PeerId(id),
        epoch: 1,
        account: AccountId(account),
        last_delta: 0,
        new: true,
        ended: None,
    })
}

#[derive(FromRow)]
struct PeerRow {
    id: Uuid,
    account: Uuid,
    public_key: Vec<u8>,
    epoch: i64,
    pod: Option<String>,
    pod_uid: Option<String>,
    address: String,
    node: String,
    zone: String,
    last_delta: i64,
    active: bool,
    revoked: bool,
}

async fn get(c: &mut Conn, id: PeerId) -> Result<Option<KnownPeer>> {
    let sql = "SELECT id, account, public_key, epoch, pod, pod_uid, address, node, zone,
        last_delta, revoked,
         (NOT revoked AND NOT logged_out) AS active
         FROM peers WHERE id = $1";
    let row: Option<PeerRow> = sqlx::query_as(sql).bind(id.0).fetch_optional(c).await?;
    let known = |row: PeerRow| {
        Ok(KnownPeer {
            id: PeerId(row.id),
            account: AccountId(row.account),
            public_key: row.public_key,
            epoch: nat(row.epoch, "peers", "epoch", row.id)?,
            pod: row.pod.map(|name| Pod { name, uid: row.pod_uid.unwrap_or_default() }),
            place: Place { address: row.address, node: row.node, zone: row.zone },
            last_delta: nat(row.last_delta, "peers", "last_delta", row.id)?,
            active: row.active,
            revoked: row.revoked,
        })
    };
    row.map(known).transpose()
}

async fn renew(c: &mut Conn, writer: Writer, certificate_ends_ms: i64) -> Result<()> {
    let sql = "UPDATE peers SET certificate_ends_ms = CASE WHEN certificate_ends_ms > $3 THEN
        certificate_ends_ms ELSE $3 END
         WHERE id = $1 AND epoch = $2 AND NOT revoked AND NOT logged_out";
    let renewed = sqlx::query(sql)
        .bind(writer.peer.0)
        .bind(int(writer.epoch))
        .bind(certificate_ends_ms)
        .execute(c)
        .await?;
    if renewed.rows_affected() == 1 { Ok(()) } else { Err(Refusal::StaleEpoch.into()) }
}

async fn beat(c: &mut Conn, beats: &[Beat]) -> Result<Beaten> {
    // The last one of each counts: a row can be written once in one statement.
    let newest: HashMap<Writer, &Beat> = beats.iter().map(|beat| (beat.writer, beat)).collect();
    let mut distinct: Vec<&Beat> = newest.into_values().collect();
    distinct.sort_by_key(|beat| beat.writer);
    let rows: Vec<BeatenRow> = reports::beat(c, &distinct).await?;
    let newest_notice =
        rows.first().map_or(Ok(0), |row| nat(row.newest, "counters", "value", row.peer))?;
    let written: HashMap<(Uuid, i64), i64> =
        rows.iter().map(|row| ((row.peer, row.epoch), row.last_delta)).collect();
    let last_delta = |beat: &Beat| {
        let written = written.get(&(beat.writer.peer.0, int(beat.writer.epoch)));
        written.map(|number| nat(*number, "peers", "last_delta", beat.writer.peer.0)).transpose()
    };
    Ok(Beaten { last_deltas: beats.iter().map(last_delta).collect::<Result<_>>()?, newest_notice })
}

#[derive(FromRow)]
struct ListedRow {
    id: Uuid,
    label: String,
    account: String,
    address: String,
    node: String,
    zone: String,
    version: String,
    revoked: bool,
    state: i16,
    room: i64,
    seen_ms: i64,
    ends_ms: i64,
    files: i64,
}

async fn list(c: &mut Conn, paging: &Paging, now_ms: i64) -> Result<Page<Peer>> {
    let sql = "SELECT p.id, p.label, a.name AS account, p.address, p.node, p.zone, p.version,
        p.revoked, l.state, l.room, l.seen_ms, l.ends_ms,
         (SELECT count(*) FROM holdings h WHERE h.peer = p.id) AS files
         FROM peers p JOIN leases l ON l.peer = p.id JOIN accounts a ON a.id = p.account WHERE
         p.id > $1 ORDER BY p.id LIMIT $2";
    let rows: Vec<ListedRow> = sqlx::query_as(sql)
        .bind(paging.after_id())
        .bind(i64::from(paging.limit))
        .fetch_all(c)
        .await?;
    let next = (rows.len() == paging.limit as usize)
        .then(|| rows.last().map(|row| row.id.to_string()))
        .flatten();
    Ok(Page {
        items: rows.into_iter().map(|row| listed(row, now_ms)).collect::<Result<_>>()?,
        next,
    })
}

fn listed(row: ListedRow, now_ms: i64) -> Result<Peer> {
    let state = match row.state {
        _ if row.revoked => ListedState::Revoked,
        _ if row.ends_ms <= now_ms => ListedState::Away,
        0 => ListedState::Ready,
        1 => ListedState::Full,
        _ => ListedState::Leaving,
    };
    Ok(Peer {
        id: PeerId(row.id),
        label: row.label,
        account: row.account,
        address: row.address,
        node: row.node,
        zone: row.zone,
        state,
        room: nat(row.room, "leases", "room", row.id)?,
        files: nat(row.files, "holdings", "peer", row.id)?,
        seen_ms: row.seen_ms,
        version: row.version,
    })
}

async fn end_lease(c: &mut Conn, id: PeerId) -> Result<()> {
    sqlx::query("UPDATE leases SET epoch = 0, ends_ms = 0 WHERE peer = $1")
        .bind(id.0)
        .execute(c)
        .await?;
    Ok(())
}

async fn log_out(c: &mut Conn, id: PeerId, epoch: Option<u64>, now_ms: i64) -> Result<bool> {
    let sql = concat!("SELECT epoch FROM peers WHERE id = $1", update!());
    let current: Option<i64> = sqlx::query_scalar(sql).bind(id.0).fetch_optional(&mut *c).await?;
    let Some(current) = current else { return Ok(false) };
    if epoch.is_some_and(|epoch| int(epoch) != current) {
        return Err(Refusal::StaleEpoch.into());
    }
    sqlx::query("UPDATE peers SET logged_out = TRUE WHERE id = $1")
        .bind(id.0)
        .execute(&mut *c)
        .await?;
    end_lease(c, id).await?;
    events::append(c, &[PeerLeft { peer: id }.into()], now_ms).await?;
    Ok(true)
}

async fn revoke(c: &mut Conn, id: PeerId, now_ms: i64) -> Result<bool> {
    let sql = "UPDATE peers SET revoked = TRUE WHERE id = $1 RETURNING certificate_ends_ms";
    let until: Option<i64> = sqlx::query_scalar(sql).bind(id.0).fetch_optional(&mut *c).await?;
    let Some(until) = until else { return Ok(false) };
    end_lease(c, id).await?;
    events::append(c, &[PeerRevoked { peer: id }.into()], now_ms).await?;
    notices::revoke(c, vec![(Identity::Peer(id), until)], now_ms).await?;
    Ok(true)
}
