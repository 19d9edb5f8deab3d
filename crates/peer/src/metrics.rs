//! What a peer counts. No label names a peer, a file or a content: their number has no bound.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Meter, UpDownCounter},
};
use peral_wire::Failure;

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

/// How near a source of bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nearness {
    /// On the same node.
    Node,
    /// In the same zone.
    Zone,
    /// In another zone: what clouds charge for.
    Other,
    /// Nobody knows: one of the two has told no zone.
    Unknown,
}

impl Nearness {
    const ALL: [Self; 4] = [Self::Node, Self::Zone, Self::Other, Self::Unknown];

    fn label(self) -> KeyValue {
        let text = match self {
            Self::Node => "node",
            Self::Zone => "zone",
            Self::Other => "other-zone",
            Self::Unknown => "unknown",
        };
        KeyValue::new("nearness", text)
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

/// Accepted downloads: those that run, and how they ended. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Downloads {
    running: UpDownCounter<i64>,
    ended: Counter<u64>,
}

/// A download that runs; dropped, it does so no more.
#[derive(Debug)]
pub struct Running(Downloads);

impl Downloads {
    fn new(meter: &Meter) -> Self {
        let running = meter
            .i64_up_down_counter("peral.downloads.running")
            .with_description("Accepted downloads that run or wait their turn");
        let ended = meter
            .u64_counter("peral.downloads")
            .with_description("Accepted downloads that ended, by outcome: ok, or a code");
        let this = Self { running: running.build(), ended: ended.build() };
        this.running.add(0, &[]);
        this.ended.add(0, &[KeyValue::new("outcome", "ok")]);
        this
    }

    /// One more runs.
    #[must_use]
    pub fn begin(&self) -> Running {
        self.running.add(1, &[]);
        Running(self.clone())
    }
}

impl Running {
    /// It has ended. One that is merely dropped goes on in the next process.
    pub fn ended<T>(self, end: &Result<T, Failure>) {
        let outcome = end.as_ref().map_or_else(|failure| failure.code.as_str(), |_| "ok");
        self.0.ended.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.add(-1, &[]);
    }
}

/// What the indexer reads. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Indexed {
    bytes: Counter<u64>,
    pieces: Counter<u64>,
    files: Counter<u64>,
}

impl Indexed {
    /// The instruments of this process.
    pub fn new() -> Self {
        let meter = opentelemetry::global::meter("peral");
        let from_zero = |counter: Counter<u64>| {
            counter.add(0, &[]);
            counter
        };
        let count =
            |name, about| from_zero(meter.u64_counter(name).with_description(about).build());
        let bytes = meter
            .u64_counter("peral.index.hashed")
            .with_unit("By")
            .with_description("Bytes of files that the indexer hashed");
        Self {
            bytes: from_zero(bytes.build()),
            pieces: count("peral.index.pieces", "Pieces of files that the indexer hashed"),
            files: count("peral.index.files", "Files that the indexer hashed"),
        }
    }

    /// A file of so many bytes was hashed.
    pub fn file(&self, size: u64) {
        self.bytes.add(size, &[]);
        self.pieces.add(peral_model::pieces::count(size), &[]);
        self.files.add(1, &[]);
    }
}

impl Default for Indexed {
    fn default() -> Self {
        Self::new()
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
    /// Accepted downloads.
    pub downloads: Downloads,
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
            downloads: Downloads::new(&meter),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
