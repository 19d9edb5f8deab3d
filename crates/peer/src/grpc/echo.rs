//! `Echo`: returns what it receives, within the limits for files.

use futures::{Stream, stream};
use peral_runtime::tls::PeerCertificate;
use peral_transfer::limits::IDLE;
use peral_wire::{Failure, fail, pb};
use tokio::time::timeout;
use tonic::Streaming;

use super::{PeerService, watch::watched};

pub(super) fn echo(
    service: &PeerService,
    caller: &PeerCertificate,
    pieces: Streaming<pb::Piece>,
) -> Result<impl Stream<Item = Result<pb::Piece, Failure>> + Send + use<>, Failure> {
    let slot = service.0.limits.slots.take(caller.identity)?;
    let (limits, rights, caller) =
        (service.0.limits.clone(), service.0.library.rights().clone(), caller.identity);
    let echoed = stream::try_unfold(
        (pieces, slot, limits, rights),
        move |(mut pieces, slot, limits, rights)| async move {
            let next = timeout(IDLE, pieces.message()).await;
            let next = next.map_err(|_| {
                fail!(DeadlineExceeded, "the sender sent nothing for {} s", IDLE.as_secs())
            })??;
            let Some(piece) = next else { return Ok(None) };
            rights.goes_on(caller)?;
            let bytes = piece.data.len() as u64;
            limits.download.take(bytes).await;
            limits.upload.take(bytes).await;
            Ok(Some((piece, (pieces, slot, limits, rights))))
        },
    );
    Ok(watched(echoed))
}
