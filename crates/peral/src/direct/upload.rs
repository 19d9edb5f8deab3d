//! Uploads by the command itself.

use std::sync::Arc;

use peral_model::{PeerId, Record, Ticket};
use peral_transfer::{
    limits::Limits,
    metrics::Metrics,
    progress::Observer,
    send::{self, SendDeps, SendRequest, send},
};
use peral_wire::{
    ErrorCode, Failure, Sealed,
    rest::files::{NewUpload, Upload},
};
use tokio_util::sync::CancellationToken;

use super::{Way, download::Watch, kept::Kept, socket, unless_interrupted};
use crate::{command::upload::Meant, context::Context, session::UserSession};

/// Uploads a file: its record, and the peer that has it.
///
/// # Errors
/// As [`send()`].
pub async fn upload(
    context: &Context,
    user: &UserSession,
    meant: &Meant,
    request: &NewUpload,
) -> Result<(Sealed<Record>, PeerId), Failure> {
    let way = Way::new(&user.login)?;
    let deps = SendDeps {
        dialer: way.dialer,
        verifier: Arc::new(meant.verifier.clone()),
        limits: Limits::default(),
        metrics: Metrics::new(),
    };
    let folder = context.uploads.as_deref().filter(|_| !meant.once);
    let kept = Kept::of(folder, &user.login, &meant.path, request);
    if let Some((upload, ticket)) = kept.load(&meant.verifier, context.clock.now_ms()) {
        let peer = upload.source.peer;
        match attempt(context, meant, &deps, &kept, upload, ticket).await {
            // Neither the peer nor central takes this ticket any longer: a new one.
            Err(failure)
                if matches!(
                    failure.code,
                    ErrorCode::NotFound | ErrorCode::Unauthenticated | ErrorCode::Forbidden
                ) => {}
            ended => return ended.map(|record| (record, peer)),
        }
    }
    let upload = user.catalogue.upload(request).await?;
    let ticket = Sealed::<Ticket>::from_text(&upload.ticket, &meant.verifier)?;
    kept.save(&upload, context.clock.now_ms());
    let peer = upload.source.peer;
    attempt(context, meant, &deps, &kept, upload, ticket).await.map(|record| (record, peer))
}

async fn attempt(
    context: &Context,
    meant: &Meant,
    deps: &SendDeps,
    kept: &Kept,
    upload: Upload,
    ticket: Sealed<Ticket>,
) -> Result<Sealed<Record>, Failure> {
    let request = SendRequest {
        path: meant.path.clone(),
        ticket,
        address: socket(&upload.source.address)?,
        expected: send::ExpectedRecord { owner: meant.owner, visibility: meant.visibility },
    };
    let watch = Arc::new(Watch::new(context));
    let cancel = CancellationToken::new();
    let running = send(request, deps, Arc::clone(&watch) as Arc<dyn Observer>, cancel.clone());
    let ended = unless_interrupted(running, cancel).await;
    watch.finish();
    let may_go_on = ended.as_ref().is_err_and(|failure| {
        matches!(
            failure.code,
            ErrorCode::Cancelled
                | ErrorCode::Unavailable
                | ErrorCode::DeadlineExceeded
                | ErrorCode::Busy
                | ErrorCode::RateLimited
        )
    });
    if !may_go_on {
        kept.forget();
    }
    let record = ended?;
    meant.check(&record.value, record.value.content.hash)?;
    Ok(record)
}
