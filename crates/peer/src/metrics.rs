//! What a peer counts. No label names a peer, a file or a content: their number has no bound.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use opentelemetry::metrics::{Counter, UpDownCounter};

/// A counter that this process can read too. Clones count together.
#[derive(Debug, Clone)]
pub struct Total {
    counter: Counter<u64>,
    total: Arc<AtomicU64>,
}

impl Total {
    fn new(counter: Counter<u64>) -> Self {
        Self { counter, total: Arc::default() }
    }

    /// Counts on.
    pub fn add(&self, more: u64) {
        self.counter.add(more, &[]);
        self.total.fetch_add(more, Ordering::Relaxed);
    }

    /// What was counted since the process began.
    pub fn get(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// The instruments of the transfer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Bytes of pieces sent to others.
    pub sent: Total,
    /// Bytes of pieces taken from others.
    pub received: Total,
    /// Bytes taken and thrown away: bad, or here already.
    pub wasted: Total,
    /// Pieces that did not hash to what was signed.
    pub bad_pieces: Total,
    /// Streams that are served now.
    pub streams: UpDownCounter<i64>,
}

impl Metrics {
    /// The instruments of this process.
    pub fn new() -> Self {
        let meter = opentelemetry::global::meter("peral");
        let bytes = |name, about| Total::new(meter.u64_counter(name).with_unit("By").with_description(about).build());
        Self {
            sent: bytes("peral.transfer.sent", "Bytes of pieces sent to others"),
            received: bytes("peral.transfer.received", "Bytes of pieces taken from others"),
            wasted: bytes("peral.transfer.wasted", "Bytes of pieces taken and thrown away"),
            bad_pieces: Total::new(meter.u64_counter("peral.pieces.bad").with_description("Pieces that did not hash to what was signed").build()),
            streams: meter.i64_up_down_counter("peral.streams").with_description("Streams of pieces that are served now").build(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
