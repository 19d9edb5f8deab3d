//! Peers: registration, heartbeat, listing, logout.

use std::sync::Arc;

use axum::{Json, extract::State};
use peral_model::PeerId;
use peral_wire::{
    proof::Proven,
    rest::{
        Done, Page,
        peers::{Heartbeat, HeartbeatAnswer, Peer, PeerChange, Registration},
    },
};

use super::{
    auth::RemoteAddress,
    extract::{JsonBody, PathParams, QueryParams},
    problem::Answer,
};
use crate::service::{App, Caller, PageQuery, PeerCaller};

/// Registers a peer. The proof holds a `RegisterRequest`, signed by the key of its signing request.
#[utoipa::path(
    post, path = "/v1/register", tag = "peers", operation_id = "register", request_body = Proven,
    responses((status = 200, body = Registration))
)]
pub async fn register(
    State(app): State<Arc<App>>,
    RemoteAddress(remote): RemoteAddress,
    JsonBody(proof): JsonBody<Proven>,
) -> Answer<Registration> {
    Ok(Json(app.register(remote, &proof).await?))
}

/// Renews the lease of the calling peer; the answer has the notices that it must obey.
#[utoipa::path(
    post, path = "/v1/heartbeat", tag = "peers", operation_id = "heartbeat",
    request_body = Heartbeat, responses((status = 200, body = HeartbeatAnswer))
)]
pub async fn heartbeat(
    State(app): State<Arc<App>>,
    peer: PeerCaller,
    JsonBody(beat): JsonBody<Heartbeat>,
) -> Answer<HeartbeatAnswer> {
    Ok(Json(app.heartbeat(&peer, &beat).await?))
}

/// All peers.
#[utoipa::path(
    get, path = "/v1/peers", tag = "peers", operation_id = "peers", params(PageQuery),
    responses((status = 200, body = Page<Peer>))
)]
pub async fn peers(
    State(app): State<Arc<App>>,
    _: Caller,
    QueryParams(page): QueryParams<PageQuery>,
) -> Answer<Page<Peer>> {
    Ok(Json(app.peers(&page).await?))
}

/// Logs out the calling peer: its lease ends at once, and its token is no longer valid.
#[utoipa::path(
    delete, path = "/v1/peers/{id}", tag = "peers", operation_id = "log_out_peer",
    params(("id" = String, Path)), responses((status = 200, body = Done))
)]
pub async fn log_out_peer(
    State(app): State<Arc<App>>,
    peer: PeerCaller,
    PathParams(id): PathParams<PeerId>,
) -> Answer<Done> {
    app.log_out_peer(&peer, id).await?;
    Ok(Json(Done {}))
}

/// Revokes the key of a peer permanently.
#[utoipa::path(
    patch, path = "/v1/peers/{id}", tag = "peers", operation_id = "change_peer",
    params(("id" = String, Path)), request_body = PeerChange,
    responses((status = 200, body = Done))
)]
pub async fn revoke_peer(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathParams(id): PathParams<PeerId>,
    JsonBody(change): JsonBody<PeerChange>,
) -> Answer<Done> {
    app.revoke_peer(&caller, id, &change).await?;
    Ok(Json(Done {}))
}
