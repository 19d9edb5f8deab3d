//! Epochs of peers: checked before each write, and ended.

use peral_model::{
    AccountId, Identity, PeerId,
    event::{PeerLeft, PeerRevoked},
};
use uuid::Uuid;

use super::{Conn, events, notices};
use crate::store::{Refusal, Result, peers::Writer, rows::int};

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

pub(super) async fn renew(c: &mut Conn, writer: Writer, certificate_ends_ms: i64) -> Result<()> {
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

async fn end_lease(c: &mut Conn, id: PeerId) -> Result<()> {
    sqlx::query("UPDATE leases SET epoch = 0, ends_ms = 0 WHERE peer = $1")
        .bind(id.0)
        .execute(c)
        .await?;
    Ok(())
}

pub(super) async fn log_out(
    c: &mut Conn,
    id: PeerId,
    epoch: Option<u64>,
    now_ms: i64,
) -> Result<bool> {
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

pub(super) async fn revoke(c: &mut Conn, id: PeerId, now_ms: i64) -> Result<bool> {
    let sql = "UPDATE peers SET revoked = TRUE WHERE id = $1 RETURNING certificate_ends_ms";
    let until: Option<i64> = sqlx::query_scalar(sql).bind(id.0).fetch_optional(&mut *c).await?;
    let Some(until) = until else { return Ok(false) };
    end_lease(c, id).await?;
    events::append(c, &[PeerRevoked { peer: id }.into()], now_ms).await?;
    notices::revoke(c, vec![(Identity::Peer(id), until)], now_ms).await?;
    Ok(true)
}
