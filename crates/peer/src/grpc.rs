//! What this peer offers others: `PeerService`, over mutual TLS.
//!
//! Each method first asks [`crate::rights::Rights`]; nothing here decides who may have what.
//! `DownloadFile` is served by bodies of our own ([`peral_transfer::wirebody`]), the other methods by
//! generated code.

mod download;
mod echo;
mod files;
mod list;
mod service;
mod upload;
mod watch;

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::Request, response::Response, routing::post};
use http::{Extensions, StatusCode, header::CONTENT_TYPE};
use peral_model::FileId;
use peral_runtime::{serve::Caller, tls::PeerCertificate};
use peral_transfer::{
    limits::{IDLE, Limits},
    metrics::Metrics,
    wirebody::{self, PieceBody},
};
use peral_wire::{
    Failure,
    convert::required,
    fail, pb,
    pb::peer_service_server::PeerServiceServer,
    peer::{DOWNLOAD, MAX_CONTROL_MESSAGE, MAX_MESSAGE},
};
use tokio::time::timeout;
use tonic::service::Routes;

use crate::{
    library::{Library, Offer, Withdraw},
    rights::absent,
};

/// How long the one message of a request may take to come.
const REQUEST: Duration = Duration::from_secs(20);

struct Inner {
    library: Library,
    limits: Limits,
    metrics: Metrics,
    uploads: upload::Running,
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct PeerService(Arc<Inner>);

impl PeerService {
    /// Serves what is in a library, within these limits.
    pub fn new(library: Library, limits: Limits, metrics: Metrics) -> Self {
        Self(Arc::new(Inner { library, limits, metrics, uploads: upload::Running::default() }))
    }

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

    /// Forgets uploads that nobody took up again for a day. To be called now and then.
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
                fail!(DeadlineExceeded, "the request did not come within {} s", REQUEST.as_secs())
            })??;
            download::pieces(self, &caller, message).await
        };
        match answered.await {
            Ok(pieces) => PieceBody::new(pieces).into_response().map(Body::new),
            Err(failure) => tonic::Status::from(failure).into_http(),
        }
    }

    /// Who calls, if anybody who is served at all.
    fn caller(&self, extensions: &Extensions) -> Result<Arc<PeerCertificate>, Failure> {
        let certificate = extensions.get::<Caller>().and_then(|caller| caller.certificate.clone());
        let certificate = certificate.ok_or_else(|| {
            fail!(Unauthenticated, "peers are called with a certificate of this network")
        })?;
        self.0.library.rights().admits(&certificate)?;
        Ok(certificate)
    }

    /// The version that a caller speaks of.
    async fn offer(&self, shown: &pb::FileRef) -> Result<Offer, Failure> {
        self.0.library.offer(file_id(shown)?, shown.version).await?.ok_or_else(absent)
    }

    /// Gives up a copy that is not what was indexed, when that is why something failed.
    async fn give_up(&self, offer: &Offer, failure: Failure) -> Failure {
        // A download looks after its own.
        let Offer::Whole(held) = offer else { return failure };
        let why = match failure.code {
            peral_wire::ErrorCode::Changed => Withdraw::Changed,
            peral_wire::ErrorCode::Integrity => Withdraw::Integrity,
            _ => return failure,
        };
        if let Err(error) = self.0.library.withdraw(held, why).await {
            tracing::error!(%error, "a copy that is not what was indexed could not be given up");
        }
        failure
    }
}

/// The id of the file that a caller speaks of.
fn file_id(shown: &pb::FileRef) -> Result<FileId, Failure> {
    FileId::from_bytes(&shown.file_id)
        .map_err(|error| fail!(InvalidArgument, "malformed message: {error}"))
}

/// The file that a request must name.
fn named(file: Option<pb::FileRef>) -> Result<pb::FileRef, Failure> {
    required(file, "file")
}
