//! API tokens and join tokens.

use std::sync::Arc;

use axum::{Json, extract::State};
use peral_model::TokenId;
use peral_wire::rest::{
    Done, Page,
    accounts::{MintedToken, NewApiToken, NewJoinToken, Token},
};

use super::{
    extract::{JsonBody, PathParams, QueryParams},
    problem::Answer,
};
use crate::service::{App, Caller, PageQuery};

/// API tokens: the caller's own, or all for administrators.
#[utoipa::path(
    get, path = "/v1/tokens", tag = "administration", operation_id = "api_tokens",
    params(PageQuery), responses((status = 200, body = Page<Token>))
)]
pub async fn api_tokens(
    State(app): State<Arc<App>>,
    caller: Caller,
    QueryParams(page): QueryParams<PageQuery>,
) -> Answer<Page<Token>> {
    Ok(Json(app.api_tokens(&caller, &page).await?))
}

/// Creates an API token for the caller. Administrators can create one for another account.
#[utoipa::path(
    post, path = "/v1/tokens", tag = "administration", operation_id = "add_api_token",
    request_body = NewApiToken, responses((status = 200, body = MintedToken))
)]
pub async fn create_api_token(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(token): JsonBody<NewApiToken>,
) -> Answer<MintedToken> {
    Ok(Json(app.create_api_token(&caller, token).await?))
}

/// Revokes an API token and ends the sessions that were begun with it.
#[utoipa::path(
    delete, path = "/v1/tokens/{id}", tag = "administration", operation_id = "remove_api_token",
    params(("id" = String, Path)), responses((status = 200, body = Done))
)]
pub async fn revoke_api_token(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParams(id): PathParams<TokenId>,
) -> Answer<Done> {
    app.revoke_api_token(&caller, id).await?;
    Ok(Json(Done {}))
}

/// All join tokens.
#[utoipa::path(
    get, path = "/v1/join-tokens", tag = "administration", operation_id = "join_tokens",
    params(PageQuery), responses((status = 200, body = Page<Token>))
)]
pub async fn join_tokens(
    State(app): State<Arc<App>>,
    _: Caller,
    QueryParams(page): QueryParams<PageQuery>,
) -> Answer<Page<Token>> {
    Ok(Json(app.join_tokens(&page).await?))
}

/// Creates a join token, with which peers can join for an account.
#[utoipa::path(
    post, path = "/v1/join-tokens", tag = "administration", operation_id = "add_join_token",
    request_body = NewJoinToken, responses((status = 200, body = MintedToken))
)]
pub async fn create_join_token(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(token): JsonBody<NewJoinToken>,
) -> Answer<MintedToken> {
    Ok(Json(app.create_join_token(&caller, token).await?))
}

/// Revokes a join token. Peers that joined with it stay registered.
#[utoipa::path(
    delete, path = "/v1/join-tokens/{id}", tag = "administration",
    operation_id = "remove_join_token", params(("id" = String, Path)),
    responses((status = 200, body = Done))
)]
pub async fn revoke_join_token(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParams(id): PathParams<TokenId>,
) -> Answer<Done> {
    app.revoke_join_token(&caller, id).await?;
    Ok(Json(Done {}))
}
