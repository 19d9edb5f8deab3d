//! Metrics of transfers. No label names a peer, a file or a content: their number has no bound.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use opentelemetry::metrics::{Counter, UpDownCounter};

use crate::nearness::Nearness;

/// A counter that this process can read too. Clones count together.
#[derive(Debug, Clone)]
pub struct Total {
    counter: Counter<u64>,
    total: Arc<AtomicU64>,
}

impl Total {
    /// Counts from 0, which is shown at once: a counter that first appears at its first event shows
    /// no increase.
    fn new(counter: Counter<u64>) -> Self {
        counter.add(0, &[]);
        Self { counter, total: Arc::default() }
    }

    /// Adds to the counter.
    pub fn add(&self, more: u64) {
        self.counter.add(more, &[]);
        self.total.fetch_add(more, Ordering::Relaxed);
    }

    /// The total since the process started.
    pub fn get(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// Bytes received from others, by how near they are. Clones count together.
#[derive(Debug, Clone)]
pub struct Received {
    counter: Counter<u64>,
    total: Arc<AtomicU64>,
}

impl Received {
    fn new(counter: Counter<u64>) -> Self {
        Nearness::ALL.into_iter().for_each(|nearness| counter.add(0, &[nearness.label()]));
        Self { counter, total: Arc::default() }
    }

    /// Adds to the counter.
    pub fn add(&self, more: u64, nearness: Nearness) {
        self.counter.add(more, &[nearness.label()]);
        self.total.fetch_add(more, Ordering::Relaxed);
    }

    /// The total since the process started.
    pub fn get(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// The instruments of the transfer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Bytes of pieces sent to others.
    pub sent: Total,
    /// Bytes of pieces received from others.
    pub received: Received,
    /// Bytes received and discarded: bad, or already there.
    pub wasted: Total,
    /// Pieces with a wrong hash.
    pub bad_pieces: Total,
    /// Streams that are being served.
    pub streams: UpDownCounter<i64>,
    /// Streams that were served.
    pub served: Total,
}

impl Metrics {
    /// The instruments of this process.
    pub fn new() -> Self {
        let meter = opentelemetry::global::meter("peral");
        let bytes = |name, about| {
            Total::new(meter.u64_counter(name).with_unit("By").with_description(about).build())
        };
        let count =
            |name, about| Total::new(meter.u64_counter(name).with_description(about).build());
        let received = meter.u64_counter("peral.transfer.received").with_unit("By");
        let streams = meter
            .i64_up_down_counter("peral.streams")
            .with_description("Streams of pieces that are served now")
            .build();
        streams.add(0, &[]);
        Self {
            sent: bytes("peral.transfer.sent", "Bytes of pieces sent to others"),
            received: Received::new(
                received
                    .with_description("Bytes of pieces received from others, by how near they are")
                    .build(),
            ),
            wasted: bytes("peral.transfer.wasted", "Bytes of pieces received and discarded"),
            bad_pieces: count("peral.pieces.bad", "Pieces with a wrong hash"),
            streams,
            served: count(
                "peral.streams.served",
                "Streams of pieces that this process began to serve",
            ),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
