//! What central keeps: the catalogue behind one interface, on Postgres or on SQLite.
//!
//! Each method is one transaction, because its rules (who may write, which version is current,
//! whose epoch counts) must be checked where they are acted on. A transaction runs in a task of its
//! own: a request that is dropped cannot leave a connection inside one. Not there is `Option`, a
//! rule that says no is [`StoreError::Refused`], and everything else is a fault of the database.
//!
//! Why the files of `shared` are compiled twice: nearly all statements are the same text in both
//! databases, but a query of sqlx has the type of one driver. Functions that are generic over the
//! driver would need a page of bounds each, and two copies by hand drift apart. So each database is
//! a module that has `shared` as a child. Around it stand the few words that differ, as macros, and
//! beside it what differs as a whole: opening, the terms of a search, and statements over many rows.
//! The shared files ask nowhere which database they are for.

/// The condition that the viewer ($1 its account, $2 acts as an administrator) may read the file
/// `f`.
macro_rules! visible {
    () => {
        "(f.public OR $2 OR f.owner = $1 OR EXISTS (SELECT 1 FROM access x WHERE x.file = f.id
          AND (x.principal = $1 OR x.principal IN (SELECT m.grp FROM members m WHERE m.account =
          $1))))"
    };
}
/// The columns of a `FileRow`, of the file `f` with the owner `o`; $3 is now.
macro_rules! file_columns {
    () => {
        concat!(
            "f.id, f.name, o.name AS owner, f.public, f.version, f.hash, f.size, f.published_ms, \
             f.last_seen_ms, (SELECT ",
            joined!("t.tag"),
            " FROM tags t WHERE t.file = f.id) AS tags,
             (SELECT count(*) FROM holdings h JOIN leases l ON l.peer = h.peer
              WHERE h.file = f.id AND h.version = f.version AND h.whole AND l.ends_ms > $3 AND
              l.state <> 2) AS sources,
             (SELECT max(l.seen_ms) FROM holdings h JOIN leases l ON l.peer = h.peer
              WHERE h.file = f.id AND h.version = f.version) AS seen_ms"
        )
    };
}

pub mod accounts;
mod common;
pub mod counts;
mod decide;
mod error;
pub mod events;
mod fault;
pub mod files;
pub mod holdings;
pub mod notices;
mod open;
pub mod peers;
mod postgres;
pub mod publish;
mod replay;
mod room;
mod rows;
pub mod search;
pub mod sessions;
mod sqlite;
mod text;
pub mod tokens;

use std::sync::Arc;

use async_trait::async_trait;
use peral_model::{AccountId, NetworkId};
use uuid::Uuid;

pub use accounts::{Accounts, Groups};
pub use counts::Counting;
pub use error::{Refusal, StoreError, Taken};
pub use files::Files;
pub use holdings::Holdings;
pub use notices::Notices;
pub use open::{GENERATION, open};
pub use peers::Peers;
pub use publish::Publishes;
pub use search::Searches;
pub use sessions::Sessions;
pub use tokens::Tokens;

/// What the store's calls give.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// How to reach a database.
#[derive(Clone)]
pub struct Options {
    /// `sqlite:PATH`, or `postgres://…` with its TLS settings.
    pub url: String,
    /// Most connections of this process; SQLite has one more that writes.
    pub connections: u32,
    /// The network that a new database becomes one of; without it, of a new network. One that is
    /// there keeps its own.
    pub network: Option<NetworkId>,
}

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

/// Connections to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Open ones that work.
    pub used: u64,
    /// Open ones that wait for work.
    pub idle: u64,
}

impl Connections {
    /// Of so many open ones, so many are idle.
    fn new(open: u32, idle: usize) -> Self {
        let (open, idle) = (u64::from(open), idle as u64);
        Self { used: open.saturating_sub(idle), idle }
    }
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

impl Paging {
    /// The cursor of a listing in the order of ids.
    fn after_id(&self) -> Uuid {
        self.after.as_deref().and_then(|after| Uuid::try_parse(after).ok()).unwrap_or_default()
    }
}

impl Default for Paging {
    fn default() -> Self {
        Self { after: None, limit: 1000 }
    }
}

/// A store, as the service holds it.
pub type SharedStore = Arc<dyn Store>;
