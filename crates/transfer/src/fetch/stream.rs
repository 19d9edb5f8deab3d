//! One request: a stream of pieces from one source, each verified and written as it comes.

use std::{ops::Range, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt, future::try_join};
use peral_model::{
    pieces::{self, PieceHasher},
    plan::{RequestId, SourceId},
};
use peral_runtime::propagate;
use peral_wire::{Failure, fail, pb, peer::DOWNLOAD};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use super::{arriving::Arriving, swarm::Remote};
use crate::{
    dial::Dialer,
    limits::Limits,
    metrics::Metrics,
    wirebody::{self, ReceivedPiece, Receiver},
};

/// Until a source answers a request, and between two pieces. The plan gives up on a silent one
/// earlier where it can.
const PATIENCE: Duration = Duration::from_secs(90);

/// What all streams of a download share.
pub(super) struct Shared {
    pub dialer: Dialer,
    pub limits: Limits,
    pub metrics: Metrics,
    pub arriving: Arriving,
    pub events: mpsc::Sender<StreamEvent>,
}

/// One request of the plan.
pub(super) struct StreamJob {
    pub request: RequestId,
    pub source: SourceId,
    pub remote: Remote,
    pub file: pb::FileRef,
    pub ranges: Vec<Range<u64>>,
    pub suspect: bool,
    pub cancel: CancellationToken,
}

/// What happened on a stream.
pub(super) enum StreamEvent {
    /// A piece came; if it was right, it is written.
    Piece { request: RequestId, source: SourceId, index: u64, bytes: u64, right: bool },
    /// The stream has ended, and nothing more comes of it.
    Ended { request: RequestId, source: SourceId, end: Result<(), StreamError> },
}

/// Why a stream ended before its time.
pub(super) enum StreamError {
    /// The source's fault, or that of the way to it.
    Theirs(Failure),
    /// Our own disk: no other source will help.
    Ours(Failure),
}

/// Runs a request to its end. Says so by exactly one [`StreamEvent::Ended`], after all of its pieces.
pub(super) async fn run(shared: Arc<Shared>, job: StreamJob) {
    let (request, source) = (job.request, job.source);
    let running = AssertUnwindSafe(transfer(&shared, &job)).catch_unwind();
    let end = tokio::select! {
        biased;
        () = job.cancel.cancelled() => Ok(()),
        end = running => end.unwrap_or_else(|_| Err(StreamError::Ours(fail!(Internal, "a request for pieces failed inside")))),
    };
    // Nobody listens any more when the download is over.
    drop(shared.events.send(StreamEvent::Ended { request, source, end }).await);
}

async fn transfer(shared: &Arc<Shared>, job: &StreamJob) -> Result<(), StreamError> {
    let mut receiver = open(shared, job).await.map_err(StreamError::Theirs)?;
    let mut keeping: Option<JoinHandle<Result<Checked, Failure>>> = None;
    loop {
        // A piece is hashed, written and reported while the next one comes.
        let reported = async {
            match keeping.take() {
                Some(keeping) => report(shared, job, keeping).await,
                None => Ok(true),
            }
        };
        let silent = |_| Err(fail!(DeadlineExceeded, "it went silent"));
        let coming = async { Ok(timeout(PATIENCE, receiver.next()).await.unwrap_or_else(silent)) };
        let (right, next) = try_join(reported, coming).await?;
        // After a wrong piece nothing more is wanted from here: the plan cancels this request, but
        // maybe only after more wrong pieces.
        let Some(piece) = next.map_err(StreamError::Theirs)?.filter(|_| right) else {
            return Ok(());
        };
        shared.metrics.received.add(piece.len(), job.remote.nearness);
        shared.limits.download.take(piece.len()).await;
        let shared = Arc::clone(shared);
        keeping = Some(tokio::task::spawn_blocking(move || keep(&shared.arriving, &piece)));
    }
}

async fn open(shared: &Shared, job: &StreamJob) -> Result<Receiver, Failure> {
    let Remote { peer, address, .. } = job.remote;
    let ranges = job
        .ranges
        .iter()
        .map(|range| pb::PieceRange { first: range.start, count: range.end - range.start });
    let message = pb::DownloadFileRequest {
        file: Some(job.file.clone()),
        ranges: ranges.collect(),
        suspect: job.suspect,
    };
    let answer = async {
        let mut channel = shared.dialer.channel(peer, address).await?;
        let mut request = wirebody::request(DOWNLOAD, &message);
        propagate::inject(request.headers_mut());
        let broken = |error: tonic::transport::Error| {
            fail!(Unavailable, "the connection to {} broke: {error}", job.remote)
        };
        channel.ready().await.map_err(broken)?.call(request).await.map_err(broken)
    };
    let late = |_| fail!(DeadlineExceeded, "it does not answer");
    let opened = timeout(PATIENCE, answer)
        .await
        .unwrap_or_else(|elapsed| Err(late(elapsed)))
        .and_then(Receiver::new);
    if let Err(failure) = &opened
        && failure.code == peral_wire::ErrorCode::Unauthenticated
    {
        // The connection may have been opened with a certificate that has ended since.
        shared.dialer.forget(peer, address).await;
    }
    opened
}

/// What became of a piece.
struct Checked {
    index: u64,
    bytes: u64,
    right: bool,
}

/// Tells the driver of a piece. Says whether it was right.
async fn report(
    shared: &Shared,
    job: &StreamJob,
    keeping: JoinHandle<Result<Checked, Failure>>,
) -> Result<bool, StreamError> {
    let kept =
        keeping.await.unwrap_or_else(|error| Err(fail!(Internal, "a piece was not kept: {error}")));
    let Checked { index, bytes, right } = kept.map_err(StreamError::Ours)?;
    let event =
        StreamEvent::Piece { request: job.request, source: job.source, index, bytes, right };
    drop(shared.events.send(event).await);
    Ok(right)
}

/// Hashes a piece, and writes it if it is right. Blocks.
fn keep(arriving: &Arriving, piece: &ReceivedPiece) -> Result<Checked, Failure> {
    let (index, size) = (piece.index, arriving.list.content().size);
    let mut kept = Checked { index, bytes: piece.len(), right: false };
    if index >= pieces::count(size) {
        return Ok(kept);
    }
    let mut hasher = PieceHasher::new(size, index);
    piece.parts.iter().for_each(|part| hasher.update(part));
    let expected = arriving
        .list
        .entry(index)
        .map_err(|error| fail!(Internal, "the piece list cannot be read: {error}"))?;
    if hasher.finish() == Some(expected) {
        arriving.write(index, &piece.parts)?;
        kept.right = true;
    }
    Ok(kept)
}
