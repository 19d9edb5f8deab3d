//! First contact, logins, certificates, and what users do with their own account.

use std::sync::Arc;

use axum::{Json, extract::State};
use peral_model::SessionId;
use peral_wire::{
    keys::Jwks,
    proof::Proven,
    rest::{
        Done, Page,
        accounts::Session,
        sessions::{Ca, Credentials, Login, Nonce, PasswordChange, WhoAmI},
    },
};

use super::{
    auth::RemoteAddress,
    extract::{JsonBody, PathParams},
    problem::Answer,
};
use crate::service::{App, Caller};

/// The certificate of central's authority, which everybody trusts.
#[utoipa::path(
    get, path = "/v1/ca", tag = "sessions", operation_id = "ca",
    responses((status = 200, body = Ca))
)]
pub async fn ca(State(app): State<Arc<App>>) -> Json<Ca> {
    Json(app.ca())
}

/// The keys that verify tokens and envelopes.
#[utoipa::path(
    get, path = "/v1/.well-known/jwks.json", tag = "sessions", operation_id = "jwks",
    responses((status = 200, body = Jwks))
)]
pub async fn jwks(State(app): State<Arc<App>>) -> Json<Jwks> {
    Json(app.keys.jwks.clone())
}

/// A nonce for a proof, valid once within two minutes.
#[utoipa::path(
    post, path = "/v1/nonces", tag = "sessions", operation_id = "nonce",
    responses((status = 200, body = Nonce))
)]
pub async fn nonce(
    State(app): State<Arc<App>>,
    RemoteAddress(remote): RemoteAddress,
) -> Answer<Nonce> {
    Ok(Json(app.nonce(remote)?))
}

/// Begins a session. The proof holds a `LoginRequest`, signed by the key of its signing request.
#[utoipa::path(
    post, path = "/v1/login", tag = "sessions", operation_id = "login", request_body = Proven,
    responses((status = 200, body = Login))
)]
pub async fn login(
    State(app): State<Arc<App>>,
    RemoteAddress(remote): RemoteAddress,
    JsonBody(proof): JsonBody<Proven>,
) -> Answer<Login> {
    Ok(Json(app.login(remote, &proof).await?))
}

/// Ends the session.
#[utoipa::path(
    post, path = "/v1/logout", tag = "sessions", operation_id = "logout",
    responses((status = 200, body = Done))
)]
pub async fn logout(State(app): State<Arc<App>>, caller: Caller) -> Answer<Done> {
    app.logout(&caller).await?;
    Ok(Json(Done {}))
}

/// Renews the certificate and token of a session or a peer.
///
/// The proof holds a `RenewRequest`, signed by the registered key.
#[utoipa::path(
    post, path = "/v1/certificates", tag = "sessions", operation_id = "renew",
    request_body = Proven, responses((status = 200, body = Credentials))
)]
pub async fn renew(
    State(app): State<Arc<App>>,
    RemoteAddress(remote): RemoteAddress,
    JsonBody(proof): JsonBody<Proven>,
) -> Answer<Credentials> {
    Ok(Json(app.renew(remote, &proof).await?))
}

/// Who the caller is.
#[utoipa::path(
    get, path = "/v1/me", tag = "sessions", operation_id = "whoami",
    responses((status = 200, body = WhoAmI))
)]
pub async fn whoami(State(app): State<Arc<App>>, caller: Caller) -> Answer<WhoAmI> {
    Ok(Json(app.who_am_i(&caller).await?))
}

/// Changes the caller's password and ends its other sessions.
#[utoipa::path(
    put, path = "/v1/me/password", tag = "sessions", operation_id = "change_password",
    request_body = PasswordChange, responses((status = 200, body = Done))
)]
pub async fn change_password(
    State(app): State<Arc<App>>,
    caller: Caller,
    RemoteAddress(remote): RemoteAddress,
    JsonBody(change): JsonBody<PasswordChange>,
) -> Answer<Done> {
    app.change_password(&caller, remote, change).await?;
    Ok(Json(Done {}))
}

/// The caller's sessions.
#[utoipa::path(
    get, path = "/v1/me/sessions", tag = "sessions", operation_id = "sessions",
    responses((status = 200, body = Page<Session>))
)]
pub async fn sessions(State(app): State<Arc<App>>, caller: Caller) -> Answer<Page<Session>> {
    Ok(Json(app.sessions(&caller).await?))
}

/// Ends one of the caller's sessions.
#[utoipa::path(
    delete, path = "/v1/me/sessions/{id}", tag = "sessions", operation_id = "end_session",
    params(("id" = String, Path)), responses((status = 200, body = Done))
)]
pub async fn end_session(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParams(id): PathParams<SessionId>,
) -> Answer<Done> {
    app.end_session(&caller, id).await?;
    Ok(Json(Done {}))
}
