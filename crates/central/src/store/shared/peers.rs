//! Peers.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::FutureExt;
use peral_model::{AccountId, PeerId};
use peral_wire::rest::{
    Page,
    peers::{ListedState, Peer},
};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Conn, Database, epochs, register, reports};
use crate::store::{
    Paging, Result,
    peers::{Beat, Beaten, KnownPeer, PeerLocation, Peers, Pod, Registered, Registering, Writer},
    rows::{BeatenRow, int, nat},
};

#[async_trait]
impl Peers for Database {
    async fn register(&self, peer: Registering) -> Result<Registered> {
        self.write(peer, |c, peer| register::register(c, peer).boxed()).await
    }
    async fn peer(&self, id: PeerId) -> Result<Option<KnownPeer>> {
        get(&mut *self.reader().await?, id).await
    }
    async fn renew_peer(&self, writer: Writer, certificate_ends_ms: i64) -> Result<()> {
        self.write((writer, certificate_ends_ms), |c, (writer, ends_ms)| {
            epochs::renew(c, *writer, *ends_ms).boxed()
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
            epochs::log_out(c, *id, *epoch, *now_ms).boxed()
        })
        .await
    }
    async fn revoke_peer(&self, id: PeerId, now_ms: i64) -> Result<bool> {
        self.write((id, now_ms), |c, (id, now_ms)| epochs::revoke(c, *id, *now_ms).boxed()).await
    }
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
            place: PeerLocation { address: row.address, node: row.node, zone: row.zone },
            last_delta: nat(row.last_delta, "peers", "last_delta", row.id)?,
            active: row.active,
            revoked: row.revoked,
        })
    };
    row.map(known).transpose()
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
