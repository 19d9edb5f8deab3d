//! `DownloadFile`: pieces of a held file, read ahead of the network by a little.

use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use peral_model::pieces::{self, PIECE, PieceHasher};
use peral_runtime::tls::PeerCertificate;
use peral_transfer::{
    blocking, limits::Slot, lists::PieceList, metrics::Metrics, pool::Buffer, wirebody::SentPiece,
};
use peral_wire::{Failure, fail, pb};

use super::{PeerService, named, watch::watched};
use crate::{library::HeldFile, rights::Permit};
use std::os::unix::fs::FileExt;

/// Most ranges of one request.
const MAX_RANGES: usize = 4096;
/// Pieces that are read before the network asks for them.
const READ_AHEAD: usize = 2;

/// What one stream reads from.
struct Source {
    service: PeerService,
    file: Arc<HeldFile>,
    permit: Permit,
    /// Set where each piece is hashed before it is sent.
    list: Option<PieceList>,
    slot: Slot,
    _counted: Counted,
}

/// Counts an open stream.
struct Counted(Metrics);

impl Counted {
    fn new(metrics: &Metrics) -> Self {
        metrics.streams.add(1, &[]);
        metrics.served.add(1);
        Self(metrics.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.streams.add(-1, &[]);
    }
}

/// Checks a request, and gives what it asks for.
pub(super) async fn pieces(
    service: &PeerService,
    caller: &PeerCertificate,
    request: pb::DownloadFileRequest,
) -> Result<impl Stream<Item = Result<SentPiece, Failure>> + Send + use<>, Failure> {
    let inner = &service.0;
    let slot = inner.limits.slots.take(caller.identity)?;
    let shown = named(request.file)?;
    let held = service.held(&shown).await?;
    let permit = inner.library.rights().may_read(caller, &held.record, &shown).await?;
    let wanted = wanted(&request.ranges, held.record.value.content.size)?;
    let list = if request.suspect { Some(inner.library.piece_list(&held).await?) } else { None };
    let opening = held.clone();
    let file = match blocking(move || opening.open()).await {
        Ok(file) => Arc::new(file),
        Err(failure) => return Err(service.give_up(&held, failure).await),
    };
    tracing::debug!(caller = %caller.identity, name = %held.record.value.name, suspect = request.suspect, "a stream of pieces begins");
    let counted = Counted::new(&inner.metrics);
    let source =
        Arc::new(Source { service: service.clone(), file, permit, list, slot, _counted: counted });
    let reader = Arc::clone(&source);
    let read =
        stream::iter(wanted).map(move |index| Arc::clone(&reader).read(index)).buffered(READ_AHEAD);
    // A right that ends while a piece is read ahead ends for that piece too.
    let checked =
        read.map(move |piece| piece.and_then(|piece| source.permit.check().map(|()| piece)));
    Ok(watched(checked))
}

/// The pieces of a request, in its order; no more than the file has.
fn wanted(
    ranges: &[pb::PieceRange],
    size: u64,
) -> Result<impl Iterator<Item = u64> + Send + use<>, Failure> {
    if ranges.len() > MAX_RANGES {
        return Err(fail!(
            InvalidArgument,
            "{} ranges in one request; the most is {MAX_RANGES}",
            ranges.len()
        ));
    }
    let count = pieces::count(size);
    let (mut all, mut checked) = (0u64, Vec::with_capacity(ranges.len()));
    for range in ranges {
        let end =
            range.first.checked_add(range.count).filter(|end| *end <= count && range.count > 0);
        let end = end.ok_or_else(|| {
            fail!(
                InvalidArgument,
                "no {} pieces from {} on in a file of {count} pieces",
                range.count,
                range.first
            )
        })?;
        all = all.saturating_add(range.count);
        checked.push(range.first..end);
    }
    if all > count {
        return Err(fail!(InvalidArgument, "{all} pieces asked for of a file of {count} pieces"));
    }
    Ok(checked.into_iter().flatten())
}

impl Source {
    async fn read(self: Arc<Self>, index: u64) -> Result<SentPiece, Failure> {
        self.permit.check()?;
        let inner = &self.service.0;
        let length = pieces::length(self.file.held().record.value.content.size, index);
        let share = self.slot.piece().await;
        let buffer = inner.limits.pool.take(length).await.of_share(share);
        inner.limits.upload.take(length).await;
        let this = Arc::clone(&self);
        let data = match blocking(move || this.fill(index, buffer)).await {
            Ok(buffer) => buffer.freeze(),
            Err(failure) => return Err(self.service.give_up(self.file.held(), failure).await),
        };
        inner.metrics.sent.add(length);
        Ok(SentPiece { index, data })
    }

    /// Reads a piece, and makes sure that it is of the file that was indexed. Blocks.
    fn fill(&self, index: u64, mut buffer: Buffer) -> Result<Buffer, Failure> {
        let read = self.file.file().read_exact_at(buffer.as_mut(), index * PIECE);
        // After the read: what changed meanwhile is noticed. A shorter file has another size, so
        // this comes before the reading's own error.
        self.file.check()?;
        let name = &self.file.held().record.value.name;
        read.map_err(|error| {
            fail!(Internal, "piece {index} of {name} cannot be read on this peer: {error}")
        })?;
        if let Some(list) = &self.list {
            let mut hasher = PieceHasher::new(list.content().size, index);
            hasher.update(buffer.as_ref());
            let expected = list
                .entry(index)
                .map_err(|error| fail!(Internal, "the piece list cannot be read: {error}"))?;
            if hasher.finish() != Some(expected) {
                return Err(fail!(
                    Integrity,
                    "piece {index} of {name} was damaged on this peer's disk; ask another"
                ));
            }
        }
        Ok(buffer)
    }
}
