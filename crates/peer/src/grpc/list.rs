//! `PieceList`.

use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use peral_model::pieces;
use peral_runtime::tls::PeerCertificate;
use peral_transfer::blocking;
use peral_wire::{Failure, fail, pb, peer::MAX_ENTRIES};

use super::{PeerService, named, watch::watched};

/// The list of a held file, in parts.
pub(super) async fn parts(
    service: &PeerService,
    caller: &PeerCertificate,
    request: pb::PieceListRequest,
) -> Result<impl Stream<Item = Result<pb::PieceListPart, Failure>> + Send + use<>, Failure> {
    let inner = &service.0;
    let slot = inner.limits.slots.take(caller.identity)?;
    let shown = named(request.file)?;
    let offer = service.offer(&shown).await?;
    let permit = inner.library.rights().may_read(caller, offer.record(), &shown).await?;
    let list = inner.library.list_of(&offer).await?;
    let (count, rate) =
        (pieces::entries(offer.record().value.content.size), inner.limits.upload.clone());
    let shared = Arc::new((list, permit, slot, rate));
    let firsts = (0..count.div_ceil(MAX_ENTRIES)).map(|part| part * MAX_ENTRIES);
    let parts = stream::iter(firsts).then(move |first| {
        let shared = Arc::clone(&shared);
        async move {
            shared.1.check()?;
            let list = shared.0.clone();
            let failed =
                |error| fail!(Internal, "the piece list cannot be read on this peer: {error}");
            let entries =
                blocking(move || list.encoded(first, MAX_ENTRIES).map_err(failed)).await?;
            shared.3.take(entries.len() as u64).await;
            Ok(pb::PieceListPart { entries: entries.into() })
        }
    });
    Ok(watched(parts))
}
