//! Fetching a file version from other peers to a path: all of it verified, or nothing in place.
//!
//! Drives `peral_model::plan` over real connections. What is there of the file lies beside the
//! target, in `.<name>.<hash>.part`, with a journal of the pieces that were verified; the journal
//! is a hint, and what it claims is hashed again before it counts. So a download goes on after a
//! crash of anybody, on this machine and on others.

mod arriving;
mod drive;
mod finder;
mod list;
mod looking;
mod partial;
mod place;
mod request;
mod room;
mod stream;
mod swarm;

use std::sync::Arc;

use peral_model::Visibility;
use peral_wire::{Failure, fail};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use self::{arriving::Arriving, drive::drive, partial::Partial, swarm::Swarm};
pub use self::{
    finder::{Asker, CatalogueFinder, KnownSources, SourceFinder},
    partial::discard,
    request::{DEFAULT_WAIT, FetchDeps, FetchRequest, Fetched},
    room::{DiskRoom, Room, RoomGuard},
};
use crate::{
    blocking::blocking,
    disk::{self, Disk},
    progress::{Observer, Phase, Progress},
};

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
    let partial = Arc::new(blocking(move || Partial::open(Disk::default(), &path, content)).await?);
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
    let part = Arc::clone(&partial);
    let record = swarm.record.clone();
    let (arriving, holder) = blocking(move || {
        let done = part.verify(&list)?;
        let path = part.path().to_owned();
        let arriving = Arriving::new(part, list, done);
        let holder = arriving.holder(&record).map_err(disk::failed("open", &path))?;
        Ok((arriving, Arc::new(holder)))
    })
    .await?;
    // Others can read what is there, until this returns.
    deps.registry.register(&holder);
    let (counters, record) = drive(request, deps, observer, swarm, arriving).await?;
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
