//! Accounts and groups as others refer to them.

use peral_model::AccountId;
use peral_wire::rest::accounts::Account;
use uuid::Uuid;

use super::Conn;
use crate::store::{
    Refusal, Result, StoreError,
    rows::{AccountRow, new_id},
};

pub(super) async fn account(c: &mut Conn, id: AccountId) -> Result<Option<Account>> {
    let row: Option<AccountRow> =
        sqlx::query_as("SELECT id, name, admin, disabled, created_ms FROM accounts WHERE id = $1")
            .bind(id.0)
            .fetch_optional(c)
            .await?;
    Ok(row.map(Into::into))
}

/// The account, locked against being disabled while this transaction runs; none if it is disabled.
pub(super) async fn enabled(c: &mut Conn, id: Uuid) -> Result<Option<Account>> {
    let sql = concat!(
        "SELECT id, name, admin, disabled, created_ms FROM accounts WHERE id = $1 AND NOT disabled",
        share!()
    );
    let row: Option<AccountRow> = sqlx::query_as(sql).bind(id).fetch_optional(c).await?;
    Ok(row.map(Into::into))
}

/// The account of this name; made, as a member without a password, where it is missing.
pub(super) async fn member(c: &mut Conn, name: &str, now_ms: i64) -> Result<Uuid> {
    let known = async |c: &mut Conn| {
        sqlx::query_scalar("SELECT id FROM accounts WHERE name = $1")
            .bind(name)
            .fetch_optional(c)
            .await
    };
    if let Some(id) = known(c).await? {
        return Ok(id);
    }
    let sql = "INSERT INTO accounts (id, name, admin, created_ms) VALUES ($1, $2, FALSE, $3) ON \
        CONFLICT DO NOTHING";
    sqlx::query(sql).bind(new_id(now_ms)).bind(name).bind(now_ms).execute(&mut *c).await?;
    // Where another made it at the same time, it is committed now.
    known(c).await?.ok_or(StoreError::Raced)
}

/// An account or a group of an access list.
#[derive(Clone, Copy)]
pub(super) struct Principal {
    pub id: Uuid,
    pub is_group: bool,
}

/// The account or group that a line of an access list names.
pub(super) async fn principal(c: &mut Conn, who: &str) -> Result<Principal> {
    let (sql, name, is_group) = match who.strip_prefix("group:") {
        Some(group) => ("SELECT id FROM groups WHERE name = $1", group, true),
        None => ("SELECT id FROM accounts WHERE name = $1", who, false),
    };
    let id: Option<Uuid> = sqlx::query_scalar(sql).bind(name).fetch_optional(c).await?;
    Ok(Principal { id: id.ok_or_else(|| Refusal::UnknownPrincipal(who.into()))?, is_group })
}
