//! Holdings: numbered deltas, digests, buckets.

use std::sync::Arc;

use axum::{Json, extract::State};
use peral_wire::rest::holdings::{Bucket, DeltaAnswer, Deltas, Digest, DigestAnswer};

use super::{extract::JsonBody, problem::Answer};
use crate::service::{App, PeerCaller};

/// Applies the next changes to the holdings of the calling peer, without a gap.
#[utoipa::path(
    post, path = "/v1/index", tag = "holdings", operation_id = "index", request_body = Deltas,
    responses((status = 200, body = DeltaAnswer))
)]
pub async fn index(
    State(app): State<Arc<App>>,
    peer: PeerCaller,
    JsonBody(deltas): JsonBody<Deltas>,
) -> Answer<DeltaAnswer> {
    Ok(Json(app.index(&peer, deltas).await?))
}

/// Compares a digest of what the calling peer holds; the answer names the buckets that differ.
#[utoipa::path(
    post, path = "/v1/index/digest", tag = "holdings", operation_id = "digest",
    request_body = Digest, responses((status = 200, body = DigestAnswer))
)]
pub async fn digest(
    State(app): State<Arc<App>>,
    peer: PeerCaller,
    JsonBody(digest): JsonBody<Digest>,
) -> Answer<DigestAnswer> {
    Ok(Json(app.digest(&peer, &digest).await?))
}

/// Replaces what the calling peer holds in one bucket.
#[utoipa::path(
    post, path = "/v1/index/buckets", tag = "holdings", operation_id = "bucket",
    request_body = Bucket, responses((status = 200, body = DeltaAnswer))
)]
pub async fn bucket(
    State(app): State<Arc<App>>,
    peer: PeerCaller,
    JsonBody(bucket): JsonBody<Bucket>,
) -> Answer<DeltaAnswer> {
    Ok(Json(app.bucket(&peer, bucket).await?))
}
