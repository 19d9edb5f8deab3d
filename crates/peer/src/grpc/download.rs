//! `DownloadFile`: pieces of a held file, read ahead of the network by a little.

use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use peral_model::pieces;
use peral_runtime::tls::PeerCertificate;
use peral_transfer::{
    Holder, blocking, limits::Slot, lists::PieceList, metrics::Metrics, pool::Buffer,
    wirebody::SentPiece,
};
use peral_wire::{Failure, fail, pb};

use super::{PeerService, named, watch::watched};
use crate::{library::Offer, rights::Permit};

/// Most ranges of one request.
const MAX_RANGES: usize = 4096;
/// Pieces that are read before the network asks for them.
const READ_AHEAD: usize = 2;

/// What one stream reads from.
struct Source {
    service: PeerService,
    offer: Offer,
    holder: Arc<Holder>,
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
    let offer = service.offer(&shown).await?;
    let permit = inner.library.rights().may_read(caller, offer.record(), &shown).await?;
    let wanted = wanted(&request.ranges, offer.record().value.content.size)?;
    let list = if request.suspect { Some(inner.library.list_of(&offer).await?) } else { None };
    let opening = offer.clone();
    let holder = match blocking(move || opening.open()).await {
        Ok(holder) => holder,
        Err(failure) => return Err(service.give_up(&offer, failure).await),
    };
    tracing::debug!(caller = %caller.identity, name = %offer.record().value.name, suspect = request.suspect, "a stream of pieces begins");
    let counted = Counted::new(&inner.metrics);
    let source = Arc::new(Source {
        service: service.clone(),
        offer,
        holder,
        permit,
        list,
        slot,
        _counted: counted,
    });
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
        let length = pieces::length(self.holder.record().value.content.size, index);
        let share = self.slot.piece().await;
        let buffer = inner.limits.pool.take(length).await.of_share(share);
        inner.limits.upload.take(length).await;
        let this = Arc::clone(&self);
        let data = match blocking(move || this.fill(index, buffer)).await {
            Ok(buffer) => buffer.freeze(),
            Err(failure) => return Err(self.service.give_up(&self.offer, failure).await),
        };
        inner.metrics.sent.add(length);
        Ok(SentPiece { index, data })
    }

    /// Reads a piece, and makes sure that it is of the file that was indexed. Blocks.
    fn fill(&self, index: u64, mut buffer: Buffer) -> Result<Buffer, Failure> {
        self.holder.read(index, buffer.as_mut())?;
        if let Some(list) = &self.list {
            self.holder.prove(index, buffer.as_ref(), list)?;
        }
        Ok(buffer)
    }
}
