//! What this peer offers others: `PeerService`, over mutual TLS.
//!
//! Each method first asks [`crate::rights::Rights`]; nothing here decides who may have what.
//! `DownloadFile` is served by our own bodies ([`peral_transfer::wirebody`]), the other methods by
//! generated code.

mod context;
mod download;
mod echo;
mod files;
mod list;
mod service;
mod upload;
mod watch;

use axum::{Router, body::Body, extract::Request, response::Response, routing::post};
use http::{StatusCode, header::CONTENT_TYPE};
use peral_transfer::{
    limits::IDLE,
    wirebody::{self, PieceBody},
};
use peral_wire::{
    Failure, fail,
    pb::peer_service_server::PeerServiceServer,
    peer::{DOWNLOAD, MAX_CONTROL_MESSAGE, MAX_MESSAGE},
};
use tokio::time::timeout;
use tonic::service::Routes;

pub use self::context::PeerService;
use self::context::{REQUEST, file_id, named};

impl PeerService {
    /// Its methods as routes, for [`peral_runtime::serve`] with
    /// [`peral_runtime::serve::ServeConfig::peer`] and required certificates.
    pub fn router(&self) -> Router {
        let generated = PeerServiceServer::new(self.clone())
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let this = self.clone();
        let download = move |request: Request| async move { this.answer(request).await };
        Routes::new(generated).into_axum_router().route(DOWNLOAD, post(download))
    }

    /// Deletes uploads that nobody resumed for a day. To be called now and then.
    ///
    /// # Errors
    /// INTERNAL, when the disk or the database fails.
    pub async fn sweep_uploads(&self, now_ms: i64) -> Result<(), Failure> {
        upload::sweep(&self.0.library, now_ms).await
    }

    async fn answer(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        if !head
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
        {
            let mut refused = Response::default();
            *refused.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return refused;
        }
        let answered = async {
            let caller = self.caller(&head.extensions)?;
            let message = timeout(
                REQUEST,
                wirebody::message_of(tonic::body::Body::new(body), MAX_CONTROL_MESSAGE),
            )
            .await;
            let message = message.map_err(|_| {
                fail!(DeadlineExceeded, "the request did not arrive within {} s", REQUEST.as_secs())
            })??;
            download::pieces(self, &caller, message).await
        };
        match answered.await {
            Ok(pieces) => PieceBody::new(pieces).into_response().map(Body::new),
            Err(failure) => tonic::Status::from(failure).into_http(),
        }
    }
}
