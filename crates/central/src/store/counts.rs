//! How much there is: for the metrics.

use async_trait::async_trait;

use super::Result;

/// How much there is. Nothing where it is not known and would take long to count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Peers with a lease that serve and take uploads.
    pub ready: u64,
    /// Peers with a lease that serve only.
    pub full: u64,
    /// Peers with a lease that are about to stop.
    pub leaving: u64,
    /// Peers without a lease, whose key is not revoked.
    pub away: u64,
    /// Names.
    pub files: Option<u64>,
    /// Kept versions of them.
    pub versions: Option<u64>,
    /// What peers hold of those.
    pub holdings: Option<u64>,
}

/// Counting.
#[async_trait]
pub trait Counting: Send + Sync {
    /// Counts, in one statement that locks nothing. Peers exactly; of the catalogue Postgres gives
    /// its own estimates where a count would read more than 32 MiB, while SQLite, which has none,
    /// reads an index of each: about 50 ms for a million rows.
    async fn counts(&self, now_ms: i64) -> Result<Counts>;
}
