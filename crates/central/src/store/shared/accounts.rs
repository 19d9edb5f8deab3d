//! Accounts.

use async_trait::async_trait;
use futures::FutureExt;
use peral_model::AccountId;
use peral_wire::rest::{
    Page,
    accounts::{Account, Role},
};
use uuid::Uuid;

use super::{Conn, Database, notices, principals, sessions, tokens};
use crate::store::{
    Paging, Refusal, Result,
    accounts::{AccountChange, Accounts, NewAccount, PasswordChange, Secret},
    rows::{AccountRow, new_id},
};

#[async_trait]
impl Accounts for Database {
    async fn create_account(&self, account: NewAccount) -> Result<Account> {
        self.write(account, |c, account| add(c, account).boxed()).await
    }
    async fn create_first_administrator(&self, account: NewAccount) -> Result<Option<Account>> {
        self.write(account, |c, account| add_first(c, account).boxed()).await
    }
    async fn has_administrator(&self) -> Result<bool> {
        has_administrator(&mut *self.reader().await?).await
    }
    async fn accounts(&self, paging: Paging) -> Result<Page<Account>> {
        list(&mut *self.reader().await?, &paging).await
    }
    async fn account(&self, id: AccountId) -> Result<Option<Account>> {
        principals::account(&mut *self.reader().await?, id).await
    }
    async fn secret(&self, name: &str) -> Result<Option<Secret>> {
        secret(&mut *self.reader().await?, name).await
    }
    async fn change_account(
        &self,
        id: AccountId,
        change: AccountChange,
        now_ms: i64,
    ) -> Result<Option<Account>> {
        self.write((id, change, now_ms), |c, (id, new, now_ms)| {
            change_one(c, *id, new, *now_ms).boxed()
        })
        .await
    }
    async fn change_password(
        &self,
        id: AccountId,
        change: PasswordChange,
        now_ms: i64,
    ) -> Result<bool> {
        self.write((id, change, now_ms), |c, (id, change, now_ms)| {
            change_password(c, *id, change, *now_ms).boxed()
        })
        .await
    }
}

async fn add(c: &mut Conn, account: &NewAccount) -> Result<Account> {
    let id = new_id(account.now_ms);
    let admin = account.role == Role::Admin;
    sqlx::query(
        "INSERT INTO accounts (id, name, admin, password, created_ms) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(id)
    .bind(&account.name)
    .bind(admin)
    .bind(&account.password)
    .bind(account.now_ms)
    .execute(c)
    .await?;
    Ok(AccountRow {
        id,
        name: account.name.clone(),
        admin,
        disabled: false,
        created_ms: account.now_ms,
    }
    .into())
}

/// Makes what changes who is an administrator wait for each other.
async fn one_at_a_time(c: &mut Conn) -> Result<()> {
    sqlx::query("UPDATE counters SET value = value + 1 WHERE name = 'accounts'").execute(c).await?;
    Ok(())
}

async fn add_first(c: &mut Conn, account: &NewAccount) -> Result<Option<Account>> {
    one_at_a_time(c).await?;
    if has_administrator(c).await? {
        return Ok(None);
    }
    add(c, account).await.map(Some)
}

async fn has_administrator(c: &mut Conn) -> Result<bool> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM accounts WHERE admin)")
        .fetch_one(c)
        .await?)
}

async fn list(c: &mut Conn, paging: &Paging) -> Result<Page<Account>> {
    let rows: Vec<AccountRow> = sqlx::query_as(
        "SELECT id, name, admin, disabled, created_ms FROM accounts WHERE name > $1 ORDER BY \
        name LIMIT $2",
    )
    .bind(paging.after.as_deref().unwrap_or(""))
    .bind(i64::from(paging.limit))
    .fetch_all(c)
    .await?;
    let next = (rows.len() == paging.limit as usize)
        .then(|| rows.last().map(|row| row.name.clone()))
        .flatten();
    Ok(Page { items: rows.into_iter().map(Into::into).collect(), next })
}

async fn secret(c: &mut Conn, name: &str) -> Result<Option<Secret>> {
    // No name has it, and Postgres takes none in a text.
    if name.contains('\0') {
        return Ok(None);
    }
    let id: Option<(Uuid, Option<String>)> =
        sqlx::query_as("SELECT id, password FROM accounts WHERE name = $1")
            .bind(name)
            .fetch_optional(&mut *c)
            .await?;
    let Some((id, password)) = id else { return Ok(None) };
    Ok(principals::account(c, AccountId(id)).await?.map(|account| Secret { account, password }))
}

async fn change_one(
    c: &mut Conn,
    id: AccountId,
    change: &AccountChange,
    now_ms: i64,
) -> Result<Option<Account>> {
    one_at_a_time(c).await?;
    let Some(before) = principals::account(c, id).await? else { return Ok(None) };
    let stays = change.role.unwrap_or(before.role) == Role::Admin
        && !change.disabled.unwrap_or(before.disabled);
    if before.role == Role::Admin && !before.disabled && !stays {
        let others =
            "SELECT EXISTS (SELECT 1 FROM accounts WHERE admin AND NOT disabled AND id <> $1)";
        if !sqlx::query_scalar::<_, bool>(others).bind(id.0).fetch_one(&mut *c).await? {
            return Err(Refusal::LastAdministrator.into());
        }
    }
    let sql = "UPDATE accounts SET admin = COALESCE($2, admin), disabled = COALESCE($3, \
        disabled), password = COALESCE($4, password) WHERE id = $1";
    let admin = change.role.map(|role| role == Role::Admin);
    sqlx::query(sql)
        .bind(id.0)
        .bind(admin)
        .bind(change.disabled)
        .bind(&change.password)
        .execute(&mut *c)
        .await?;
    let mut ended = Vec::new();
    if change.disabled == Some(true) {
        ended = sessions::end_all(c, id, None).await?;
        ended.extend(tokens::end_all(c, id).await?);
    } else if change.password.is_some() {
        ended = sessions::end_all(c, id, None).await?;
    }
    notices::revoke(c, ended, now_ms).await?;
    principals::account(c, id).await
}

async fn change_password(
    c: &mut Conn,
    id: AccountId,
    change: &PasswordChange,
    now_ms: i64,
) -> Result<bool> {
    let changed = sqlx::query(
        "UPDATE accounts SET password = $3 WHERE id = $1 AND password = $2 AND NOT disabled",
    )
    .bind(id.0)
    .bind(&change.expected)
    .bind(&change.new)
    .execute(&mut *c)
    .await?;
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    let ended = sessions::end_all(c, id, change.keep).await?;
    notices::revoke(c, ended, now_ms).await?;
    Ok(true)
}
