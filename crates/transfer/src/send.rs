//! Uploading a file to a peer: read once, hashed here and there, taken up again where it broke off.

mod pieces;
mod request;
mod source;

use std::{sync::Arc, time::Duration};

use peral_model::{Content, PeerId, Record, Ticket};
use peral_runtime::{Backoff, Jitter};
use peral_wire::{ErrorCode, Failure, PeerClient, Sealed, fail, pb};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

pub use self::request::{ExpectedRecord, SendDeps, SendRequest};
use self::{
    pieces::{Reader, read_all},
    source::Sending,
};
use crate::{
    blocking::blocking,
    progress::{Observer, Phase, Progress},
};

/// Until the peer answers that it takes the upload.
const OPENING: Duration = Duration::from_secs(30);
/// Between the last byte and the record: hashing, publishing and the holding in the catalogue.
const LANDING: Duration = Duration::from_secs(180);
/// Attempts without a byte more on the peer.
const MAX_VAIN: u32 = 6;
/// First and longest pause between two attempts.
const PAUSE: Duration = Duration::from_millis(1250);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// Pieces between the disk and the network.
const AHEAD: usize = 2;

/// Uploads a file, and gives its record once it is published and held.
///
/// # Errors
/// NOT_FOUND or INVALID_ARGUMENT for the path; CHANGED when the file is written meanwhile;
/// INTEGRITY when the peer got other bytes or answers with another record; NO_SPACE; what the peer
/// or central says of the ticket; UNAVAILABLE; CANCELLED.
pub async fn send(
    request: SendRequest,
    deps: &SendDeps,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Result<Sealed<Record>, Failure> {
    let ticket = &request.ticket.value;
    let span = tracing::info_span!("upload", name = %ticket.name, peer = %ticket.peer);
    let running = Box::pin(run(&request, deps, observer.as_ref()).instrument(span));
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(fail!(Cancelled, "the upload was cancelled; it can be taken up again for a day")),
        sent = running => sent,
    }
}

async fn run(
    request: &SendRequest,
    deps: &SendDeps,
    observer: &dyn Observer,
) -> Result<Sealed<Record>, Failure> {
    let path = request.path.clone();
    let sending = Arc::new(blocking(move || Sending::open(&path)).await?);
    let (size, most) = (sending.stamp.size, request.ticket.value.max_size);
    if size > most {
        return Err(fail!(
            TooLarge,
            "{} has {size} bytes, where the ticket allows {most}",
            sending.shown
        ));
    }
    let (mut vain, mut furthest, mut fresh) = (0, 0, false);
    let mut backoff = Backoff::new(PAUSE, LONGEST_PAUSE).with_jitter(Jitter::Equal);
    loop {
        let mut offset = 0;
        let failure = match attempt(request, deps, observer, &sending, &mut offset).await {
            Ok(record) => return Ok(record),
            Err(failure) => failure,
        };
        // What the peer kept from before may be of an older state of the file: once more, from the
        // beginning.
        let stale = failure.code == ErrorCode::Integrity
            && offset > 0
            && !std::mem::replace(&mut fresh, true);
        vain += 1;
        if offset > furthest {
            (vain, furthest) = (0, offset);
            backoff.reset();
        }
        if !(stale || may_pass(failure.code)) || vain >= MAX_VAIN {
            return Err(failure);
        }
        tracing::info!(
            code = %failure.code,
            detail = failure.detail,
            "an upload was interrupted; resuming it"
        );
        observer.note(&format!("the upload broke off ({failure}); taking it up again"));
        sleep(backoff.next_pause()).await;
    }
}

fn may_pass(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::Unavailable
            | ErrorCode::DeadlineExceeded
            | ErrorCode::Busy
            | ErrorCode::RateLimited
    )
}

async fn attempt(
    request: &SendRequest,
    deps: &SendDeps,
    observer: &dyn Observer,
    sending: &Arc<Sending>,
    offset: &mut u64,
) -> Result<Sealed<Record>, Failure> {
    let (ticket, size) = (&request.ticket, sending.stamp.size);
    let client = deps.dialer.client(ticket.value.peer, request.address).await?;
    *offset = open(&client, ticket, size, ticket.value.peer).await?;
    let header = pb::UploadHeader { ticket: Some(ticket.envelope.clone()), size, offset: *offset };
    let (sender, parts) = mpsc::channel(AHEAD);
    let mut answer = std::pin::pin!(client.upload_file(ReceiverStream::new(parts)));
    let reader = Reader { sending: Arc::clone(sending), deps, observer, sender, offset: *offset };
    let hash = tokio::select! {
        // An answer before the end is a refusal, and says more than a stream that nobody takes any
        // longer.
        biased;
        early = answer.as_mut() => return Err(early.err().unwrap_or_else(|| {
            fail!(Internal, "the peer answered before the upload's end")
        })),
        hash = read_all(reader, header) => hash,
    };
    let hash = match hash {
        Ok(hash) => hash,
        // The stream was cut by the other end: its answer says why.
        Err(failure) if failure.code == ErrorCode::Unavailable => {
            let said = timeout(OPENING, answer).await.ok().and_then(Result::err);
            return Err(said.unwrap_or(failure));
        }
        Err(failure) => return Err(failure),
    };
    observer.progress(&Progress {
        phase: Phase::Publishing,
        done: size,
        total: size,
        fetched: size - *offset,
        sources: 1,
    });
    let late = |_| {
        fail!(
            DeadlineExceeded,
            "the peer did not publish the upload within {} s",
            LANDING.as_secs()
        )
    };
    let answered = timeout(LANDING, answer).await.map_err(late)??;
    accept(request, deps, answered, Content { hash, size })
}

async fn open(
    client: &PeerClient,
    ticket: &Sealed<Ticket>,
    size: u64,
    peer: PeerId,
) -> Result<u64, Failure> {
    let message = pb::OpenUploadRequest { ticket: Some(ticket.envelope.clone()), size };
    let answer = timeout(OPENING, client.open_upload(message)).await;
    let offset = answer.map_err(|_| {
        fail!(DeadlineExceeded, "peer {peer} did not answer within {} s", OPENING.as_secs())
    })??;
    let fits =
        offset == size || (offset < size && offset.is_multiple_of(peral_model::pieces::PIECE));
    if fits {
        Ok(offset)
    } else {
        Err(fail!(
            Internal,
            "peer {peer} says that it has {offset} of {size} bytes, which cannot be"
        ))
    }
}

/// Only the record of what was meant is a success.
fn accept(
    request: &SendRequest,
    deps: &SendDeps,
    answered: pb::UploadFileResponse,
    content: Content,
) -> Result<Sealed<Record>, Failure> {
    let (ticket, expected) = (&request.ticket.value, request.expected);
    let envelope = answered
        .record
        .ok_or_else(|| fail!(Integrity, "peer {} answered without a record", ticket.peer))?;
    let record = Sealed::<Record>::open(envelope, &deps.verifier)?;
    let found = &record.value;
    let right = found.name == ticket.name
        && found.content == content
        && (found.owner, found.visibility) == (expected.owner, expected.visibility);
    if right {
        return Ok(record);
    }
    Err(fail!(
        Integrity,
        "{:?} was published as {} with {} bytes for account {}, which is not what was uploaded; \
         look at it with peral ls",
        found.name.as_str(),
        found.content.hash,
        found.content.size,
        found.owner
    ))
}
