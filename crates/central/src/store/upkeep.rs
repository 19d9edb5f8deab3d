//! The store as a whole: its pulse, how much it has, and what it forgets.

use std::sync::Arc;

use async_trait::async_trait;
use peral_model::NetworkId;

use super::{
    Accounts, Connections, Files, Groups, Holdings, Notices, Peers, Publishes, Result, Searches,
    Sessions, Tokens,
};

/// The whole interface: one trait for each concern.
#[async_trait]
pub trait Store:
    Accounts
    + Groups
    + Tokens
    + Sessions
    + Peers
    + Holdings
    + Publishes
    + Files
    + Searches
    + Notices
    + Counting
{
    /// Id of the network; made when the database was.
    fn network(&self) -> NetworkId;

    /// Its connections to the database, now.
    fn connections(&self) -> Connections;

    /// Does the database answer, and, where the last write found no room, does it take one again?
    ///
    /// # Errors
    /// Unavailable, Full.
    async fn ping(&self) -> Result<()>;

    /// Drops what has ended and nobody asks for any more: nonces, idempotency keys, uploads,
    /// sessions, tokens, old revocations and events. To be called every few minutes; gives the
    /// number of rows dropped.
    ///
    /// # Errors
    /// Of the database.
    async fn clean(&self, now_ms: i64) -> Result<u64>;

    /// Waits for what is running and lets the connections go.
    async fn close(&self);
}

/// A store, as the service holds it.
pub type SharedStore = Arc<dyn Store>;

/// How much there is. Nothing where it is not known and would take long to count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CatalogueCounts {
    /// Peers with a lease that serve and take uploads.
    pub ready: u64,
    /// Peers with a lease that serve only.
    pub full: u64,
    /// Peers with a lease that are about to stop.
    pub leaving: u64,
    /// Peers without a lease, whose key is not revoked.
    pub away: u64,
    pub files: Option<u64>,
    /// Kept versions of them.
    pub versions: Option<u64>,
    /// What peers hold of those.
    pub holdings: Option<u64>,
}

#[async_trait]
pub trait Counting: Send + Sync {
    /// Counts, in one statement that locks nothing. Peers exactly; of the catalogue Postgres gives
    /// its own estimates where a count would read more than 32 MiB, while SQLite, which has none,
    /// reads an index of each: about 50 ms for a million rows.
    async fn counts(&self, now_ms: i64) -> Result<CatalogueCounts>;
}
