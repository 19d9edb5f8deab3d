//! The service itself, and what its methods have in common.

use std::{sync::Arc, time::Duration};

use http::Extensions;
use peral_model::FileId;
use peral_runtime::{serve::Caller, tls::PeerCertificate};
use peral_transfer::{limits::Limits, metrics::Metrics};
use peral_wire::{ErrorCode, Failure, convert::required, fail, pb};

use super::upload::Running;
use crate::{
    library::{Library, Offer, Withdraw},
    rights::absent,
};

/// How long the message of a request may take to arrive.
pub(super) const REQUEST: Duration = Duration::from_secs(20);

pub(super) struct Inner {
    pub library: Library,
    pub limits: Limits,
    pub metrics: Metrics,
    pub uploads: Running,
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct PeerService(pub(super) Arc<Inner>);

impl PeerService {
    /// Serves what is in a library, within these limits.
    pub fn new(library: Library, limits: Limits, metrics: Metrics) -> Self {
        Self(Arc::new(Inner { library, limits, metrics, uploads: Running::default() }))
    }

    /// The certificate of the caller, if this peer serves it at all.
    pub(super) fn caller(&self, extensions: &Extensions) -> Result<Arc<PeerCertificate>, Failure> {
        let certificate = extensions.get::<Caller>().and_then(|caller| caller.certificate.clone());
        let certificate = certificate.ok_or_else(|| {
            fail!(Unauthenticated, "calls to a peer need a client certificate of this network")
        })?;
        self.0.library.rights().admits(&certificate)?;
        Ok(certificate)
    }

    /// The file version that a caller names.
    pub(super) async fn offer(&self, shown: &pb::FileRef) -> Result<Offer, Failure> {
        self.0.library.offer(file_id(shown)?, shown.version).await?.ok_or_else(absent)
    }

    /// Withdraws a copy that is not what was indexed, when that is why something failed.
    pub(super) async fn give_up(&self, offer: &Offer, failure: Failure) -> Failure {
        // A download looks after its own.
        let Offer::Whole(held) = offer else { return failure };
        let why = match failure.code {
            ErrorCode::Changed => Withdraw::Changed,
            ErrorCode::Integrity => Withdraw::Integrity,
            _ => return failure,
        };
        if let Err(error) = self.0.library.withdraw(held, why).await {
            tracing::error!(%error, "could not withdraw a copy that is not what was indexed");
        }
        failure
    }
}

/// The id of the file that a caller names.
pub(super) fn file_id(shown: &pb::FileRef) -> Result<FileId, Failure> {
    FileId::from_bytes(&shown.file_id)
        .map_err(|error| fail!(InvalidArgument, "malformed message: {error}"))
}

/// The file that a request must name.
pub(super) fn named(file: Option<pb::FileRef>) -> Result<pb::FileRef, Failure> {
    required(file, "file")
}
