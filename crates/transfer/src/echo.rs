//! The echo transfer: the whole path to a peer and back, without disk and catalogue.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use peral_model::{PeerId, pieces::PIECE};
use peral_wire::{Failure, fail, pb, peer::failed};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::dial::Dialer;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Maximum number of pieces in flight.
const AHEAD: usize = 8;

/// What an echo transfer measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EchoReport {
    /// Time until the connection and the stream were open.
    pub connect: Duration,
    /// Time for one byte there and back, the least of a few tries.
    pub round_trip: Duration,
    /// Bytes sent; as many came back.
    pub bytes: u64,
    /// How long they took.
    pub took: Duration,
}

impl EchoReport {
    /// Bytes per second, each way.
    pub fn rate(&self) -> f64 {
        self.bytes as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Sends `bytes` bytes to a peer and receives them back.
///
/// # Errors
/// UNAVAILABLE or DEADLINE_EXCEEDED when the peer does not answer; INTEGRITY when other bytes come
/// back; what the peer says.
pub async fn echo(
    dialer: &Dialer,
    peer: PeerId,
    address: SocketAddr,
    bytes: u64,
) -> Result<EchoReport, Failure> {
    let start = Instant::now();
    let client = dialer.client(peer, address).await?;
    let (sender, pieces) = mpsc::channel(AHEAD);
    let opened = timeout(PATIENCE, client.echo(ReceiverStream::new(pieces))).await;
    let mut back = opened.map_err(|_| late(peer))??;
    let connect = start.elapsed();
    let mut round_trip = Duration::MAX;
    for index in 0..5 {
        let start = Instant::now();
        push(&sender, index, Bytes::from_static(b"?")).await?;
        expect(&mut back, peer, index, b"?").await?;
        round_trip = round_trip.min(start.elapsed());
    }
    let start = Instant::now();
    let filling: Bytes =
        (0..=250).cycle().take(usize::try_from(PIECE).unwrap_or(0)).collect::<Vec<u8>>().into();
    let length = |index: u64| usize::try_from(PIECE.min(bytes - index * PIECE)).unwrap_or(0);
    let pieces = || (0..bytes.div_ceil(PIECE)).map(|index| (index, filling.slice(..length(index))));
    let sending = async {
        for (index, piece) in pieces() {
            push(&sender, index, piece).await?;
        }
        Ok::<_, Failure>(())
    };
    let receiving = async {
        for (index, piece) in pieces() {
            expect(&mut back, peer, index, &piece).await?;
        }
        Ok::<_, Failure>(())
    };
    tokio::try_join!(sending, receiving)?;
    Ok(EchoReport { connect, round_trip, bytes, took: start.elapsed() })
}

fn late(peer: PeerId) -> Failure {
    fail!(DeadlineExceeded, "peer {peer} did not answer within {} s", PATIENCE.as_secs())
}

async fn push(sender: &mpsc::Sender<pb::Piece>, index: u64, data: Bytes) -> Result<(), Failure> {
    sender
        .send(pb::Piece { index, data })
        .await
        .map_err(|_| fail!(Unavailable, "the peer ended the echo"))
}

async fn expect(
    back: &mut Streaming<pb::Piece>,
    peer: PeerId,
    index: u64,
    data: &[u8],
) -> Result<(), Failure> {
    let piece = timeout(PATIENCE, back.message()).await.map_err(|_| late(peer))?.map_err(failed)?;
    let piece = piece.ok_or_else(|| fail!(Unavailable, "peer {peer} ended the echo"))?;
    if piece.index == index && piece.data == data {
        Ok(())
    } else {
        Err(fail!(Integrity, "peer {peer} returned other bytes than it received"))
    }
}
