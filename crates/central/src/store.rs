//! What central keeps: the catalogue behind one interface, on Postgres or on SQLite.
//!
//! Each method is one transaction, because its rules (who may write, which version is current, whose epoch counts) must be checked where they
//! are acted on. A transaction runs in a task of its own: a request that is dropped cannot leave a connection inside one. Not there is
//! `Option`, a rule that says no is [`StoreError::Refused`], and everything else is a fault of the database.

pub mod accounts;
mod error;
pub mod feed;
pub mod files;
pub mod holdings;
pub mod peers;
pub mod publish;
pub mod search;
pub mod sessions;

use std::sync::Arc;

use async_trait::async_trait;
use peral_model::{AccountId, NetworkId};

pub use accounts::Accounts;
pub use error::{Refusal, StoreError, Taken};
pub use feed::Feed;
pub use files::Files;
pub use holdings::Holdings;
pub use peers::Peers;
pub use publish::Publishes;
pub use search::Searches;
pub use sessions::Sessions;

/// What the store's calls give.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// How to reach a database.
#[derive(Clone)]
pub struct Options {
    /// `sqlite:PATH`, or `postgres://…` with its TLS settings.
    pub url: String,
    /// Most connections of this process; SQLite has one more that writes.
    pub connections: u32,
}

/// The whole interface: one trait for each concern.
#[async_trait]
pub trait Store: Accounts + Sessions + Peers + Holdings + Publishes + Files + Searches + Feed {
    /// Id of the network; made when the database was.
    fn network(&self) -> NetworkId;

    /// Does the database answer?
    ///
    /// # Errors
    /// Unavailable.
    async fn ping(&self) -> Result<()>;

    /// Drops what has ended and nobody asks for any more: nonces, idempotency keys, uploads, sessions, tokens, old revocations and events.
    /// To be called every few minutes; gives the number of rows dropped.
    ///
    /// # Errors
    /// Of the database.
    async fn clean(&self, now_ms: i64) -> Result<u64>;

    /// Waits for what is running and lets the connections go.
    async fn close(&self);
}

/// Whose eyes a file is looked at with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// The account.
    pub account: AccountId,
    /// Acts as an administrator: sees and manages every file. Never true for a peer.
    pub admin: bool,
}

/// Which part of a listing, in the order of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    /// The `next` of the page before.
    pub after: Option<String>,
    /// Most rows.
    pub limit: u32,
}

impl Default for Paging {
    fn default() -> Self {
        Self { after: None, limit: 1000 }
    }
}

/// A store, as the service holds it.
pub type SharedStore = Arc<dyn Store>;
