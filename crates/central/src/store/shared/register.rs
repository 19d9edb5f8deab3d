//! Registering a peer: again by its key, or newly by a join token or as a pod.

use peral_model::{AccountId, PeerId, event::PeerJoined};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Conn, epochs::revoke, events, principals};
use crate::store::{
    Refusal, Result, StoreError,
    peers::{Registered, Registering, RegisteringPod},
    rows::{int, nat, new_id},
};

#[derive(FromRow)]
struct KnownKey {
    id: Uuid,
    account: Uuid,
    pod: Option<String>,
}

pub(super) async fn register(c: &mut Conn, peer: &Registering) -> Result<Registered> {
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

/// A peer that is a pod stays that pod, and one that is not a pod stays so.
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
