//! Uploads by the command itself.

use std::sync::Arc;

use peral_model::{PeerId, Record, Ticket};
use peral_transfer::{
    limits::Limits,
    metrics::Metrics,
    progress::Observer,
    send::{ExpectedRecord, SendDeps, SendRequest, send},
};
use peral_wire::{
    ErrorCode, Failure, Sealed,
    rest::files::{NewUpload, Upload},
};
use tokio_util::sync::CancellationToken;

use super::{
    connector::{Connector, parse_address, run_until_interrupted},
    progress::MeterObserver,
    saved_ticket::SavedTicket,
    spec::UploadSpec,
};
use crate::{context::Context, session::UserSession};

/// A finished upload.
pub struct DirectUpload {
    /// The record of the published version.
    pub record: Sealed<Record>,
    /// The peer that has it.
    pub peer: PeerId,
}

/// Uploads a file.
///
/// # Errors
/// As [`send()`].
pub async fn upload(
    context: &Context,
    user: &UserSession,
    spec: &UploadSpec,
    request: &NewUpload,
) -> Result<DirectUpload, Failure> {
    let deps = SendDeps {
        dialer: Connector::new(&user.login)?.dialer,
        verifier: Arc::new(spec.verifier.clone()),
        limits: Limits::default(),
        metrics: Metrics::new(),
    };
    let folder = context.uploads.as_deref().filter(|_| !spec.once);
    let saved = SavedTicket::new(folder, &user.login, &spec.path, request);
    let sender = Sender { context, spec, deps, saved };
    if let Some((upload, ticket)) = sender.saved.load(&spec.verifier, context.clock.now_ms()) {
        match sender.send(upload, ticket).await {
            // Neither the peer nor central takes this ticket any longer: a new one.
            Err(failure)
                if matches!(
                    failure.code,
                    ErrorCode::NotFound | ErrorCode::Unauthenticated | ErrorCode::Forbidden
                ) => {}
            sent => return sent,
        }
    }
    let upload = user.catalogue.upload(request).await?;
    let ticket = Sealed::<Ticket>::from_text(&upload.ticket, &spec.verifier)?;
    sender.saved.save(&upload, context.clock.now_ms());
    sender.send(upload, ticket).await
}

struct Sender<'a> {
    context: &'a Context,
    spec: &'a UploadSpec,
    deps: SendDeps,
    saved: SavedTicket,
}

impl Sender<'_> {
    async fn send(&self, upload: Upload, ticket: Sealed<Ticket>) -> Result<DirectUpload, Failure> {
        let request = SendRequest {
            path: self.spec.path.clone(),
            ticket,
            address: parse_address(&upload.source.address)?,
            expected: ExpectedRecord { owner: self.spec.owner, visibility: self.spec.visibility },
        };
        let observer = Arc::new(MeterObserver::new(self.context));
        let cancel = CancellationToken::new();
        let running =
            send(request, &self.deps, Arc::clone(&observer) as Arc<dyn Observer>, cancel.clone());
        let ended = run_until_interrupted(running, cancel).await;
        observer.finish();
        if !ended.as_ref().is_err_and(|failure| can_continue(failure.code)) {
            self.saved.delete();
        }
        let record = ended?;
        self.spec.check(&record.value, record.value.content.hash)?;
        Ok(DirectUpload { record, peer: upload.source.peer })
    }
}

/// Whether the same ticket can finish an upload that failed so.
fn can_continue(code: ErrorCode) -> bool {
    use ErrorCode::{Busy, Cancelled, DeadlineExceeded, RateLimited, Unavailable};
    matches!(code, Cancelled | Unavailable | DeadlineExceeded | Busy | RateLimited)
}
