//! What a transfer counts. No label names a peer, a file or a content: their number has no bound.

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
    /// Counts from 0, which is shown at once: a counter that is first seen at its first event shows
    /// no increase.
    fn new(counter: Counter<u64>) -> Self {
        counter.add(0, &[]);
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

/// Bytes taken from others, by how near they are. Clones count together.
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

    /// Counts on.
    pub fn add(&self, more: u64, nearness: Nearness) {
        self.counter.add(more, &[nearness.label()]);
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
    pub received: Received,
    /// Bytes taken and thrown away: bad, or here already.
    pub wasted: Total,
    /// Pieces that did not hash to what was signed.
    pub bad_pieces: Total,
    /// Streams that are served now.
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
                    .with_description("Bytes of pieces taken from others, by how near they are")
                    .build(),
            ),
            wasted: bytes("peral.transfer.wasted", "Bytes of pieces taken and thrown away"),
            bad_pieces: count("peral.pieces.bad", "Pieces that did not hash to what was signed"),
            streams,
            served: count("peral.streams.served", "Streams of pieces that were begun to be served"),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
