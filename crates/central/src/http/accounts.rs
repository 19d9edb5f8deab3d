//! Administration of accounts and groups.

use std::sync::Arc;

use axum::{Json, extract::State};
use peral_model::{AccountId, GroupId};
use peral_wire::rest::{
    Done, Page,
    accounts::{Account, AccountChange, Group, NewAccount, NewGroup},
};

use super::{
    extract::{JsonBody, PathParams, QueryParams},
    problem::Answer,
};
use crate::service::{App, Caller, PageQuery};

/// All accounts.
#[utoipa::path(
    get, path = "/v1/accounts", tag = "administration", operation_id = "accounts",
    params(PageQuery), responses((status = 200, body = Page<Account>))
)]
pub async fn accounts(
    State(app): State<Arc<App>>,
    _: Caller,
    QueryParams(page): QueryParams<PageQuery>,
) -> Answer<Page<Account>> {
    Ok(Json(app.accounts(&page).await?))
}

/// Creates an account.
#[utoipa::path(
    post, path = "/v1/accounts", tag = "administration", operation_id = "add_account",
    request_body = NewAccount, responses((status = 200, body = Account))
)]
pub async fn create_account(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(account): JsonBody<NewAccount>,
) -> Answer<Account> {
    Ok(Json(app.create_account(&caller, account).await?))
}

/// Changes an account. Disabling it ends its sessions, tokens and registered peers.
#[utoipa::path(
    patch, path = "/v1/accounts/{id}", tag = "administration", operation_id = "change_account",
    params(("id" = String, Path)), request_body = AccountChange,
    responses((status = 200, body = Account))
)]
pub async fn change_account(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParams(id): PathParams<AccountId>,
    JsonBody(change): JsonBody<AccountChange>,
) -> Answer<Account> {
    Ok(Json(app.change_account(&caller, id, change).await?))
}

/// All groups.
#[utoipa::path(
    get, path = "/v1/groups", tag = "administration", operation_id = "groups", params(PageQuery),
    responses((status = 200, body = Page<Group>))
)]
pub async fn groups(
    State(app): State<Arc<App>>,
    _: Caller,
    QueryParams(page): QueryParams<PageQuery>,
) -> Answer<Page<Group>> {
    Ok(Json(app.groups(&page).await?))
}

/// Creates a group.
#[utoipa::path(
    post, path = "/v1/groups", tag = "administration", operation_id = "add_group",
    request_body = NewGroup, responses((status = 200, body = Group))
)]
pub async fn create_group(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(group): JsonBody<NewGroup>,
) -> Answer<Group> {
    Ok(Json(app.create_group(&caller, group).await?))
}

/// Deletes a group and removes it from all access lists.
#[utoipa::path(
    delete, path = "/v1/groups/{id}", tag = "administration", operation_id = "remove_group",
    params(("id" = String, Path)), responses((status = 200, body = Done))
)]
pub async fn delete_group(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParams(id): PathParams<GroupId>,
) -> Answer<Done> {
    app.delete_group(&caller, id).await?;
    Ok(Json(Done {}))
}

/// Adds an account to a group.
#[utoipa::path(
    put, path = "/v1/groups/{group}/members/{account}", tag = "administration",
    operation_id = "add_member", params(("group" = String, Path), ("account" = String, Path)),
    responses((status = 200, body = Done))
)]
pub async fn add_member(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParams((group, account)): PathParams<(GroupId, AccountId)>,
) -> Answer<Done> {
    app.set_member(&caller, group, account, true).await?;
    Ok(Json(Done {}))
}

/// Removes an account from a group.
#[utoipa::path(
    delete, path = "/v1/groups/{group}/members/{account}", tag = "administration",
    operation_id = "remove_member", params(("group" = String, Path), ("account" = String, Path)),
    responses((status = 200, body = Done))
)]
pub async fn remove_member(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParams((group, account)): PathParams<(GroupId, AccountId)>,
) -> Answer<Done> {
    app.set_member(&caller, group, account, false).await?;
    Ok(Json(Done {}))
}
