//! Fetching a file version from other peers to a path: all of it verified, or nothing in place.
//!
//! Drives `peral_model::plan` over real connections. What is there of the file lies beside the
//! target, in `.<name>.<hash>.part`, with a journal of the pieces that were verified; the journal
//! is a hint, and what it claims is hashed again before it counts. So a download goes on after a
//! crash of anybody, on this machine and on others.

mod drive;
mod finder;
mod list;
mod partial;
mod place;
mod room;
mod stream;
mod swarm;

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use peral_model::{Content, Record, Visibility};
use peral_wire::{Failure, Sealed, fail, pb, rest::files::Source};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use self::{drive::drive, partial::Partial, swarm::Swarm};
pub use self::{
    finder::CatalogueFinder,
    partial::discard,
    room::{DiskRoom, Held, Room},
};
use crate::{dial::Dialer, library::Stamp, limits::Limits, lists::ListStore, metrics::Metrics};

/// How long a known holder that is away is waited for, unless somebody says otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(120);

/// What to fetch, and to where.
#[derive(Debug, Clone)]
pub struct FetchRequest {
    /// The file version, as central signed it.
    pub record: Sealed<Record>,
    /// For a private file: the grant that this process may show.
    pub grant: Option<pb::Envelope>,
    /// Sources that are known already; central is asked for more, or for the first ones.
    pub sources: Vec<Source>,
    /// The file to write. Its folder is there.
    pub path: PathBuf,
    /// Replace a file that is there.
    pub overwrite: bool,
    /// How long known holders that are away are waited for, from the last new piece on.
    pub wait: Duration,
}

/// What a fetch works with.
#[derive(Clone)]
pub struct FetchDeps {
    /// Connects to peers.
    pub dialer: Dialer,
    /// Finds sources.
    pub finder: Arc<dyn SourceFinder>,
    /// Where piece lists are kept.
    pub lists: ListStore,
    /// The limits of this process.
    pub limits: Limits,
    /// Knows how much room there is.
    pub room: Arc<dyn Room>,
    /// Where this process runs, for choosing near sources.
    pub here: Here,
    /// Counters.
    pub metrics: Metrics,
    /// Where the plan's randomness comes from.
    pub seed: fn() -> u64,
}

/// Where a process runs; empty where nobody knows.
#[derive(Debug, Clone, Default)]
pub struct Here {
    /// Its node.
    pub node: String,
    /// Its zone.
    pub zone: String,
}

/// Why sources are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The download starts.
    Start,
    /// Few are left, or those that are left do not answer.
    More,
    /// Somebody refused the right that was shown: a newer grant may help.
    Refused,
}

/// Who has a file version now.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its record, as signed last.
    pub record: Sealed<Record>,
    /// A fresh grant, for a private file.
    pub grant: Option<pb::Envelope>,
    /// Peers that are there.
    pub sources: Vec<Source>,
    /// Known holders that are away.
    pub away: u64,
}

/// Finds sources: central, or who knows them in its place.
pub trait SourceFinder: Send + Sync + 'static {
    /// Looks for sources of the file version that this finder is for.
    fn sources(&self, why: Why) -> BoxFuture<'_, Result<Found, Failure>>;
}

/// What a transfer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No source can be asked; holders that are away are waited for.
    Waiting,
    /// What was there from before is hashed again.
    Hashing,
    /// Pieces move.
    Moving,
    /// An upload is whole on the peer, and is being published.
    Publishing,
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Bytes that are there and verified.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// Of those done, bytes that came over the network this time.
    pub fetched: u64,
    /// Sources that are asked now.
    pub sources: u32,
}

/// Is told how a transfer goes. Called from the transfer's task: it must not block.
pub trait Observer: Send + Sync + 'static {
    /// How far it is; at most ten times a second.
    fn progress(&self, progress: &Progress);
    /// Something that a person should know.
    fn note(&self, text: &str);
}

/// A finished download.
#[derive(Debug)]
pub struct Fetched {
    /// Where the file is.
    pub path: PathBuf,
    /// What it looked like when it was put in place.
    pub stamp: Stamp,
    /// Its bytes.
    pub content: Content,
    /// Its record, as signed last.
    pub record: Sealed<Record>,
    /// Bytes that came over the network and were kept.
    pub bytes_fetched: u64,
    /// Bytes that came over the network and were thrown away.
    pub bytes_wasted: u64,
}

/// Fetches a file version. Whatever ends it, the path holds the whole right file or what was there
/// before. When it fails or is cancelled, the pieces that came so far stay beside the path for the
/// next time ([`discard`] removes them); without one, nothing stays.
///
/// # Errors
/// ALREADY_EXISTS, INVALID_ARGUMENT (no such folder, or what is there is no regular file),
/// FORBIDDEN (the disk, or central meanwhile), NOT_FOUND and UNAUTHENTICATED (the right was
/// withdrawn meanwhile), NO_SPACE, BUSY (another download writes there), NO_SOURCE, INTEGRITY
/// (names piece and peer), CANCELLED, INTERNAL (the disk fails).
pub async fn fetch(
    request: FetchRequest,
    deps: &FetchDeps,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Result<Fetched, Failure> {
    let record = &request.record.value;
    let span = tracing::info_span!("download", name = %record.name, version = record.version, size = record.content.size);
    let running = Box::pin(run(&request, deps, observer.as_ref()).instrument(span));
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(fail!(Cancelled, "the download was cancelled")),
        fetched = running => fetched,
    }
}

async fn run(
    request: &FetchRequest,
    deps: &FetchDeps,
    observer: &dyn Observer,
) -> Result<Fetched, Failure> {
    let content = request.record.value.content;
    if let Some(fetched) = place::already_there(request).await? {
        return Ok(fetched);
    }
    let path = request.path.clone();
    let partial = Arc::new(blocking(move || Partial::open(&path, content)).await?);
    let room = Arc::clone(&deps.room);
    let (part, folder) = (Arc::clone(&partial), partial.folder().to_owned());
    let _held = blocking(move || {
        let held = room.reserve(&folder, part.needed()?)?;
        // What the disk itself has set aside need not be promised any longer.
        Ok((!part.allocate()?).then_some(held))
    })
    .await?;
    let mut swarm = Swarm::new(request, deps);
    let list = list::obtain(&mut swarm, deps, request, observer).await?;
    observer.progress(&Progress {
        phase: Phase::Hashing,
        done: 0,
        total: content.size,
        fetched: 0,
        sources: 0,
    });
    let (part, proof) = (Arc::clone(&partial), list.clone());
    let done = blocking(move || part.verify(&proof)).await?;
    let (counters, record) = drive(request, deps, observer, swarm, list, &partial, done).await?;
    let how = place::How {
        overwrite: request.overwrite,
        private: record.value.visibility == Visibility::Private,
    };
    let stamp = blocking(move || partial.finish(how)).await?;
    Ok(Fetched {
        path: request.path.clone(),
        stamp,
        content,
        record,
        bytes_fetched: counters.fetched,
        bytes_wasted: counters.wasted,
    })
}

/// Runs what blocks where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(fail!(Internal, "a task ended before its work was done: {error}"))
    })
}
