//! Metrics of the daemon besides its transfers. No label names a peer, a file or a content: their
//! number has no bound.

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Meter, UpDownCounter},
};
use peral_wire::Failure;

/// Accepted downloads: those that run, and how they ended. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DownloadMetrics {
    running: UpDownCounter<i64>,
    ended: Counter<u64>,
}

/// A download that runs until this is dropped.
#[derive(Debug)]
pub struct RunningDownload(DownloadMetrics);

impl DownloadMetrics {
    pub fn new(meter: &Meter) -> Self {
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

    /// Counts one more.
    #[must_use]
    pub fn begin(&self) -> RunningDownload {
        self.running.add(1, &[]);
        RunningDownload(self.clone())
    }
}

impl RunningDownload {
    /// Counts how it ended. A download that is only dropped goes on in the next process.
    pub fn ended<T>(self, end: &Result<T, Failure>) {
        let outcome = end.as_ref().map_or_else(|failure| failure.code.as_str(), |_| "ok");
        self.0.ended.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}

impl Drop for RunningDownload {
    fn drop(&mut self) {
        self.0.running.add(-1, &[]);
    }
}

/// What the indexer hashed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct IndexMetrics {
    bytes: Counter<u64>,
    pieces: Counter<u64>,
    files: Counter<u64>,
}

impl IndexMetrics {
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

    /// Counts a file of this size.
    pub fn file(&self, size: u64) {
        self.bytes.add(size, &[]);
        self.pieces.add(peral_model::pieces::count(size), &[]);
        self.files.add(1, &[]);
    }
}
