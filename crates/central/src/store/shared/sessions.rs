//! Sessions and used nonces.

use async_trait::async_trait;
use futures::FutureExt;
use peral_model::{AccountId, Identity, SessionId};
use peral_wire::rest::accounts::Session;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Conn, Database, notices, principals};
use crate::store::{
    Refusal, Result,
    rows::new_id,
    sessions::{Basis, LiveSession, MAX_SESSIONS, NewSession, Sessions},
};

#[async_trait]
impl Sessions for Database {
    async fn use_nonce(&self, nonce: &[u8], ends_ms: i64) -> Result<bool> {
        self.write((nonce.to_vec(), ends_ms), |c, (nonce, ends_ms)| {
            use_nonce(c, nonce, *ends_ms).boxed()
        })
        .await
    }
    async fn begin_session(&self, session: NewSession) -> Result<SessionId> {
        self.write(session, |c, session| begin(c, session).boxed()).await
    }
    async fn session(&self, id: SessionId, now_ms: i64) -> Result<Option<LiveSession>> {
        get(&mut *self.reader().await?, id, now_ms).await
    }
    async fn renew_session(
        &self,
        id: SessionId,
        certificate_ends_ms: i64,
        now_ms: i64,
    ) -> Result<bool> {
        self.write((id, certificate_ends_ms, now_ms), |c, (id, ends_ms, now_ms)| {
            renew(c, *id, *ends_ms, *now_ms).boxed()
        })
        .await
    }
    async fn end_session(
        &self,
        id: SessionId,
        account: Option<AccountId>,
        now_ms: i64,
    ) -> Result<bool> {
        self.write((id, account, now_ms), |c, (id, account, now_ms)| {
            end(c, *id, *account, *now_ms).boxed()
        })
        .await
    }
    async fn sessions(&self, account: AccountId, now_ms: i64) -> Result<Vec<Session>> {
        list(&mut *self.reader().await?, account, now_ms).await
    }
}

async fn use_nonce(c: &mut Conn, nonce: &[u8], ends_ms: i64) -> Result<bool> {
    let sql = "INSERT INTO nonces (nonce, ends_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    Ok(sqlx::query(sql).bind(nonce).bind(ends_ms).execute(c).await?.rows_affected() == 1)
}

async fn begin(c: &mut Conn, session: &NewSession) -> Result<SessionId> {
    principals::enabled(c, session.account.0).await?.ok_or(Refusal::Revoked)?;
    let token = still_proves(c, session).await?;
    make_room(c, session, token).await?;
    let id = new_id(session.now_ms);
    sqlx::query(
        "INSERT INTO sessions (id, account, token, public_key, label, created_ms, ends_ms,
         certificate_ends_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(id)
    .bind(session.account.0)
    .bind(token)
    .bind(&session.public_key)
    .bind(&session.label)
    .bind(session.now_ms)
    .bind(session.ends_ms)
    .bind(session.certificate_ends_ms)
    .execute(c)
    .await?;
    Ok(SessionId(id))
}

/// What proved the account was checked before this transaction: it must still do. Gives the token,
/// if it was one.
async fn still_proves(c: &mut Conn, session: &NewSession) -> Result<Option<Uuid>> {
    let (sql, token) = match &session.basis {
        Basis::Password(_) => {
            ("SELECT EXISTS (SELECT 1 FROM accounts WHERE id = $1 AND password = $2)", None)
        }
        Basis::ApiToken(token) => (
            "SELECT EXISTS (SELECT 1 FROM api_tokens WHERE account = $1 AND id = $2 AND ends_ms > \
             $3)",
            Some(token.0),
        ),
    };
    let query = sqlx::query_scalar::<_, bool>(sql).bind(session.account.0);
    let proves = match &session.basis {
        Basis::Password(hash) => query.bind(hash).fetch_one(c).await?,
        Basis::ApiToken(token) => query.bind(token.0).bind(session.now_ms).fetch_one(c).await?,
    };
    if proves { Ok(token) } else { Err(Refusal::BadToken.into()) }
}

/// Drops the account's ended sessions, and ends its oldest ones where it has as many as it may.
/// Those of each token count for themselves: a job that is killed again and again before it logs
/// out must not log its owner out.
async fn make_room(c: &mut Conn, session: &NewSession, token: Option<Uuid>) -> Result<()> {
    let ended = "DELETE FROM sessions WHERE account = $1 AND ends_ms <= $2";
    sqlx::query(ended).bind(session.account.0).bind(session.now_ms).execute(&mut *c).await?;
    let sql = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE account = $1 AND
        token IS NOT DISTINCT FROM $2
         ORDER BY created_ms DESC, id DESC LIMIT 1000 OFFSET $3) RETURNING id, certificate_ends_ms";
    let query =
        sqlx::query_as(sql).bind(session.account.0).bind(token).bind(i64::from(MAX_SESSIONS) - 1);
    let oldest: Vec<(Uuid, i64)> = query.fetch_all(&mut *c).await?;
    notices::revoke(c, identities(oldest), session.now_ms).await
}

fn identities(rows: Vec<(Uuid, i64)>) -> Vec<(Identity, i64)> {
    rows.into_iter().map(|(id, until)| (Identity::User(SessionId(id)), until)).collect()
}

#[derive(FromRow)]
struct LiveRow {
    account: Uuid,
    public_key: Vec<u8>,
    ends_ms: i64,
}

async fn get(c: &mut Conn, id: SessionId, now_ms: i64) -> Result<Option<LiveSession>> {
    let sql = "SELECT account, public_key, ends_ms FROM sessions WHERE id = $1 AND ends_ms > $2";
    let row: Option<LiveRow> =
        sqlx::query_as(sql).bind(id.0).bind(now_ms).fetch_optional(&mut *c).await?;
    let Some(LiveRow { account, public_key, ends_ms }) = row else { return Ok(None) };
    let account = principals::account(c, AccountId(account)).await?;
    let account = account.filter(|account| !account.disabled);
    Ok(account.map(|account| LiveSession { id, account, public_key, ends_ms }))
}

async fn renew(c: &mut Conn, id: SessionId, certificate_ends_ms: i64, now_ms: i64) -> Result<bool> {
    let sql = "UPDATE sessions SET certificate_ends_ms = CASE WHEN certificate_ends_ms > $2 THEN
        certificate_ends_ms ELSE $2 END
         WHERE id = $1 AND ends_ms > $3";
    Ok(sqlx::query(sql)
        .bind(id.0)
        .bind(certificate_ends_ms)
        .bind(now_ms)
        .execute(c)
        .await?
        .rows_affected()
        == 1)
}

async fn end(c: &mut Conn, id: SessionId, account: Option<AccountId>, now_ms: i64) -> Result<bool> {
    let sql = "DELETE FROM sessions WHERE id = $1 AND (account = $2 OR $2 IS NULL) RETURNING id, \
        certificate_ends_ms";
    let ended: Vec<(Uuid, i64)> =
        sqlx::query_as(sql).bind(id.0).bind(account.map(|id| id.0)).fetch_all(&mut *c).await?;
    let found = !ended.is_empty();
    notices::revoke(c, identities(ended), now_ms).await?;
    Ok(found)
}

/// Ends the sessions of an account, but for one; gives their identities.
pub(super) async fn end_all(
    c: &mut Conn,
    account: AccountId,
    keep: Option<SessionId>,
) -> Result<Vec<(Identity, i64)>> {
    let sql = "DELETE FROM sessions WHERE account = $1 AND (id <> $2 OR $2 IS NULL) RETURNING id, \
        certificate_ends_ms";
    Ok(identities(
        sqlx::query_as(sql).bind(account.0).bind(keep.map(|id| id.0)).fetch_all(c).await?,
    ))
}

#[derive(FromRow)]
struct ListedSession {
    id: Uuid,
    label: String,
    created_ms: i64,
    ends_ms: i64,
}

async fn list(c: &mut Conn, account: AccountId, now_ms: i64) -> Result<Vec<Session>> {
    let sql = "SELECT id, label, created_ms, ends_ms FROM sessions WHERE account = $1 AND ends_ms \
        > $2 ORDER BY created_ms DESC, id DESC LIMIT 1000";
    let rows: Vec<ListedSession> =
        sqlx::query_as(sql).bind(account.0).bind(now_ms).fetch_all(c).await?;
    let session = |row: ListedSession| Session {
        id: SessionId(row.id),
        label: row.label,
        created_ms: row.created_ms,
        ends_ms: row.ends_ms,
        current: false,
    };
    Ok(rows.into_iter().map(session).collect())
}
