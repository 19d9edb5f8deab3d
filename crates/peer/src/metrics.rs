//! What a peer counts. No label names a peer, a file or a content: their number has no bound.

use opentelemetry::metrics::{Counter, UpDownCounter};

/// The instruments of the transfer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Bytes of pieces sent to others.
    pub sent: Counter<u64>,
    /// Bytes of pieces taken from others.
    pub received: Counter<u64>,
    /// Bytes taken and thrown away: bad, or here already.
    pub wasted: Counter<u64>,
    /// Pieces that did not hash to what was signed.
    pub bad_pieces: Counter<u64>,
    /// Streams that are served now.
    pub streams: UpDownCounter<i64>,
}

impl Metrics {
    /// The instruments of this process.
    pub fn new() -> Self {
        let meter = opentelemetry::global::meter("peral");
        let bytes = |name, about| meter.u64_counter(name).with_unit("By").with_description(about).build();
        Self {
            sent: bytes("peral.transfer.sent", "Bytes of pieces sent to others"),
            received: bytes("peral.transfer.received", "Bytes of pieces taken from others"),
            wasted: bytes("peral.transfer.wasted", "Bytes of pieces taken and thrown away"),
            bad_pieces: meter.u64_counter("peral.pieces.bad").with_description("Pieces that did not hash to what was signed").build(),
            streams: meter.i64_up_down_counter("peral.streams").with_description("Streams of pieces that are served now").build(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
