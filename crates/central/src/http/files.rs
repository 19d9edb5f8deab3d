//! Files: publishing, looking up, searching, sources, uploads.

use std::sync::Arc;

use axum::{Json, extract::State};
use peral_wire::rest::{
    Done, Page,
    files::{
        File, FileChange, FileDetail, Located, NewUpload, Publish, Published, Sources,
        SourcesRequest, Upload,
    },
};

use super::{
    extract::{JsonBody, PathName, QueryParams},
    problem::Answer,
};
use crate::service::{App, Caller, PeerCaller, SearchQuery};

/// Publishes versions of files. Each has a result of its own.
#[utoipa::path(
    post, path = "/v1/files", tag = "files", operation_id = "publish", request_body = Publish,
    responses((status = 200, body = Published))
)]
pub async fn publish(
    State(app): State<Arc<App>>,
    peer: PeerCaller,
    JsonBody(publish): JsonBody<Publish>,
) -> Answer<Published> {
    Ok(Json(app.publish(&peer, publish).await?))
}

/// A file with its versions and, for its owner and administrators, its access list.
#[utoipa::path(
    get, path = "/v1/files/{*name}", tag = "files", operation_id = "file",
    params(("name" = String, Path)), responses((status = 200, body = FileDetail))
)]
pub async fn file(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathName(name): PathName,
) -> Answer<FileDetail> {
    Ok(Json(app.file(&caller, &name).await?))
}

/// Changes who can read a file, or its tags.
#[utoipa::path(
    patch, path = "/v1/files/{*name}", tag = "files", operation_id = "change_file",
    params(("name" = String, Path)), request_body = FileChange,
    responses((status = 200, body = FileDetail))
)]
pub async fn change_file(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathName(name): PathName,
    JsonBody(change): JsonBody<FileChange>,
) -> Answer<FileDetail> {
    Ok(Json(app.change_file(&caller, &name, change).await?))
}

/// Deletes a file.
#[utoipa::path(
    delete, path = "/v1/files/{*name}", tag = "files", operation_id = "remove_file",
    params(("name" = String, Path)), responses((status = 200, body = Done))
)]
pub async fn delete_file(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathName(name): PathName,
) -> Answer<Done> {
    app.delete_file(&caller, &name).await?;
    Ok(Json(Done {}))
}

/// Begins an upload: names the peer that accepts it, and gives the ticket to show to that peer.
#[utoipa::path(
    post, path = "/v1/uploads", tag = "files", operation_id = "upload", request_body = NewUpload,
    responses((status = 200, body = Upload))
)]
pub async fn upload(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(upload): JsonBody<NewUpload>,
) -> Answer<Upload> {
    Ok(Json(app.upload(&caller, upload).await?))
}

/// The sources of a file, its record and, if it is private, a grant to read it.
#[utoipa::path(
    post, path = "/v1/sources", tag = "files", operation_id = "sources",
    request_body = SourcesRequest, responses((status = 200, body = Sources))
)]
pub async fn sources(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(request): JsonBody<SourcesRequest>,
) -> Answer<Sources> {
    Ok(Json(app.sources(&caller, request).await?))
}

/// Searches for files by terms, in byte order of the name.
#[utoipa::path(
    get, path = "/v1/search", tag = "search", operation_id = "search", params(SearchQuery),
    responses((status = 200, body = Page<File>))
)]
pub async fn search(
    State(app): State<Arc<App>>,
    caller: Caller,
    QueryParams(query): QueryParams<SearchQuery>,
) -> Answer<Page<File>> {
    Ok(Json(app.search(&caller, query).await?))
}

/// The peers that hold the file with exactly this name, with address and port.
#[utoipa::path(
    get, path = "/v1/search/{*filename}", tag = "search", operation_id = "locate",
    params(("filename" = String, Path)), responses((status = 200, body = Located))
)]
pub async fn locate(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathName(name): PathName,
) -> Answer<Located> {
    Ok(Json(app.locate(&caller, &name).await?))
}
