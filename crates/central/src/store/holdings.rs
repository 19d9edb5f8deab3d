//! Holdings: which peer has which file version on its disk. Hints: a version that is not in the
//! catalogue is passed over.

use async_trait::async_trait;
use peral_wire::rest::holdings::{Bucket, Deltas};

use super::{Result, peers::Writer};

#[async_trait]
pub trait Holdings: Send + Sync {
    /// Applies the next deltas and gives the number of the last one; those that were applied before
    /// are skipped. A peer that reports a removed file, or newly one whose rights changed, gets the
    /// notice of it.
    ///
    /// # Errors
    /// Refused: stale epoch, or a gap before the first.
    async fn apply_deltas(&self, writer: Writer, deltas: Deltas, now_ms: i64) -> Result<u64>;
    /// Compares the peer's digest (4,096 words) with its rows here and gives the buckets that
    /// differ. If none does, the peer's number of its last delta becomes the one here too.
    ///
    /// # Errors
    /// Refused: stale epoch.
    async fn compare_digest(
        &self,
        writer: Writer,
        last_delta: u64,
        words: Vec<u64>,
    ) -> Result<Vec<u16>>;
    /// Replaces, or adds to, the rows of a bucket. The number of the last delta becomes the given
    /// one: only the peer itself knows it.
    ///
    /// # Errors
    /// Refused: stale epoch.
    async fn replace_bucket(&self, writer: Writer, bucket: Bucket, now_ms: i64) -> Result<u64>;
}
