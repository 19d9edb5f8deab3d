//! API tokens and join tokens.

use async_trait::async_trait;
use futures::FutureExt;
use peral_model::{AccountId, Identity, PeerId, SessionId, TokenId};
use peral_wire::rest::{Page, accounts::Token};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Conn, Database, notices, principals};
use crate::store::{
    Paging, Refusal, Result,
    rows::{TokenRow, new_id},
    tokens::{ApiToken, MAX_TOKENS, NewToken, Tokens},
};

#[async_trait]
impl Tokens for Database {
    async fn create_api_token(&self, token: NewToken) -> Result<Token> {
        self.write(token, |c, token| add_api(c, token).boxed()).await
    }
    async fn api_tokens(
        &self,
        account: Option<AccountId>,
        paging: Paging,
        now_ms: i64,
    ) -> Result<Page<Token>> {
        list_api(&mut *self.reader().await?, account, &paging, now_ms).await
    }
    async fn api_token(&self, hash: &[u8], now_ms: i64) -> Result<Option<ApiToken>> {
        find_api(&mut *self.reader().await?, hash, now_ms).await
    }
    async fn revoke_api_token(
        &self,
        id: TokenId,
        account: Option<AccountId>,
        now_ms: i64,
    ) -> Result<bool> {
        self.write((id, account, now_ms), |c, (id, account, now_ms)| {
            remove_api(c, *id, *account, *now_ms).boxed()
        })
        .await
    }
    async fn create_join_token(&self, token: NewToken) -> Result<Token> {
        self.write(token, |c, token| add_join(c, token).boxed()).await
    }
    async fn join_tokens(&self, paging: Paging, now_ms: i64) -> Result<Page<Token>> {
        list_join(&mut *self.reader().await?, &paging, now_ms).await
    }
    async fn revoke_join_token(&self, id: TokenId) -> Result<bool> {
        self.write(id, |c, id| remove_join(c, *id).boxed()).await
    }
}

async fn add_api(c: &mut Conn, token: &NewToken) -> Result<Token> {
    let count = "SELECT count(*) FROM api_tokens WHERE account = $1";
    let name = may_add(c, token, count, "API tokens of an account").await?;
    let id = new_id(token.now_ms);
    let sql = "INSERT INTO api_tokens (id, hash, account, label, created_ms, ends_ms) VALUES ($1, \
        $2, $3, $4, $5, $6)";
    let query =
        sqlx::query(sql).bind(id).bind(&token.hash).bind(token.account.0).bind(&token.label);
    query.bind(token.now_ms).bind(token.ends_ms).execute(c).await?;
    Ok(made(id, token, name, None))
}

async fn add_join(c: &mut Conn, token: &NewToken) -> Result<Token> {
    let count = "SELECT count(*) FROM join_tokens WHERE account = $1";
    let name = may_add(c, token, count, "join tokens of an account").await?;
    let id = new_id(token.now_ms);
    let uses = token.uses.unwrap_or(1);
    let sql = "INSERT INTO join_tokens (id, hash, account, label, uses_left, created_ms, ends_ms) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let query = sqlx::query(sql)
        .bind(id)
        .bind(&token.hash)
        .bind(token.account.0)
        .bind(&token.label)
        .bind(i64::from(uses));
    query.bind(token.now_ms).bind(token.ends_ms).execute(c).await?;
    Ok(made(id, token, name, Some(uses)))
}

/// The name of the account, if it is enabled and has room for one more.
async fn may_add(
    c: &mut Conn,
    token: &NewToken,
    count: &'static str,
    what: &'static str,
) -> Result<String> {
    let account = principals::enabled(c, token.account.0).await?.ok_or(Refusal::Revoked)?;
    let count: i64 = sqlx::query_scalar(count).bind(token.account.0).fetch_one(c).await?;
    if count >= i64::from(MAX_TOKENS) {
        return Err(Refusal::TooMany(what).into());
    }
    Ok(account.name)
}

fn made(id: Uuid, token: &NewToken, account: String, uses_left: Option<u32>) -> Token {
    Token {
        id: TokenId(id),
        label: token.label.clone(),
        account,
        ends_ms: token.ends_ms,
        uses_left,
        created_ms: token.now_ms,
    }
}

async fn list_api(
    c: &mut Conn,
    account: Option<AccountId>,
    paging: &Paging,
    now_ms: i64,
) -> Result<Page<Token>> {
    let sql = "SELECT t.id, t.label, a.name AS account, t.ends_ms, CAST(NULL AS BIGINT) AS
        uses_left, t.created_ms FROM api_tokens t
         JOIN accounts a ON a.id = t.account WHERE t.id > $1 AND t.ends_ms > $2 AND (a.id = $3 OR
         $3 IS NULL) ORDER BY t.id LIMIT $4";
    let sql = sqlx::query_as(sql).bind(paging.after_id()).bind(now_ms).bind(account.map(|id| id.0));
    page(sql.bind(i64::from(paging.limit)).fetch_all(c).await?, paging)
}

async fn list_join(c: &mut Conn, paging: &Paging, now_ms: i64) -> Result<Page<Token>> {
    let sql = "SELECT t.id, t.label, a.name AS account, t.ends_ms, t.uses_left, t.created_ms FROM
        join_tokens t
         JOIN accounts a ON a.id = t.account WHERE t.id > $1 AND t.ends_ms > $2 ORDER BY t.id
         LIMIT $3";
    page(
        sqlx::query_as(sql)
            .bind(paging.after_id())
            .bind(now_ms)
            .bind(i64::from(paging.limit))
            .fetch_all(c)
            .await?,
        paging,
    )
}

fn page(rows: Vec<TokenRow>, paging: &Paging) -> Result<Page<Token>> {
    let next = (rows.len() == paging.limit as usize)
        .then(|| rows.last().map(|row| row.id.to_string()))
        .flatten();
    Ok(Page { items: rows.into_iter().map(TokenRow::token).collect(), next })
}

#[derive(FromRow)]
struct ApiTokenRow {
    id: Uuid,
    account: Uuid,
    ends_ms: i64,
}

async fn find_api(c: &mut Conn, hash: &[u8], now_ms: i64) -> Result<Option<ApiToken>> {
    let sql = "SELECT id, account, ends_ms FROM api_tokens WHERE hash = $1 AND ends_ms > $2";
    let row: Option<ApiTokenRow> =
        sqlx::query_as(sql).bind(hash).bind(now_ms).fetch_optional(&mut *c).await?;
    let Some(row) = row else { return Ok(None) };
    let account = principals::account(c, AccountId(row.account)).await?;
    let account = account.filter(|account| !account.disabled);
    Ok(account.map(|account| ApiToken { id: TokenId(row.id), account, ends_ms: row.ends_ms }))
}

async fn remove_api(
    c: &mut Conn,
    id: TokenId,
    account: Option<AccountId>,
    now_ms: i64,
) -> Result<bool> {
    let known = concat!(
        "SELECT id FROM api_tokens WHERE id = $1 AND (account = $2 OR $2 IS NULL)",
        update!()
    );
    let known: Option<Uuid> = sqlx::query_scalar(known)
        .bind(id.0)
        .bind(account.map(|id| id.0))
        .fetch_optional(&mut *c)
        .await?;
    if known.is_none() {
        return Ok(false);
    }
    let sql = "DELETE FROM sessions WHERE token = $1 RETURNING id, certificate_ends_ms";
    let ended: Vec<(Uuid, i64)> = sqlx::query_as(sql).bind(id.0).fetch_all(&mut *c).await?;
    sqlx::query("DELETE FROM api_tokens WHERE id = $1").bind(id.0).execute(&mut *c).await?;
    let ended = ended.into_iter().map(|(id, until)| (Identity::User(SessionId(id)), until));
    notices::revoke(c, ended.collect(), now_ms).await?;
    Ok(true)
}

async fn remove_join(c: &mut Conn, id: TokenId) -> Result<bool> {
    Ok(sqlx::query("DELETE FROM join_tokens WHERE id = $1")
        .bind(id.0)
        .execute(c)
        .await?
        .rows_affected()
        > 0)
}

/// Ends all tokens of an account that is disabled, and the epochs of its peers; gives the peers'
/// identities.
pub(super) async fn end_all(c: &mut Conn, account: AccountId) -> Result<Vec<(Identity, i64)>> {
    sqlx::query("DELETE FROM api_tokens WHERE account = $1")
        .bind(account.0)
        .execute(&mut *c)
        .await?;
    sqlx::query("DELETE FROM join_tokens WHERE account = $1")
        .bind(account.0)
        .execute(&mut *c)
        .await?;
    let leases = "UPDATE leases SET epoch = 0, ends_ms = 0 WHERE peer IN (SELECT id FROM peers \
        WHERE \
        account = $1)";
    sqlx::query(leases).bind(account.0).execute(&mut *c).await?;
    let sql = "UPDATE peers SET logged_out = TRUE WHERE account = $1 AND NOT revoked RETURNING \
        id, certificate_ends_ms";
    let peers: Vec<(Uuid, i64)> = sqlx::query_as(sql).bind(account.0).fetch_all(c).await?;
    Ok(peers.into_iter().map(|(id, until)| (Identity::Peer(PeerId(id)), until)).collect())
}
