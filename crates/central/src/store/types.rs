//! What all parts of the store speak of.

use peral_model::{AccountId, NetworkId};
use uuid::Uuid;

/// Generation of this central: rises when a migration asks for something that older ones do not do.
pub const GENERATION: i64 = 1;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Open ones that work.
    pub used: u64,
    /// Open ones that wait for work.
    pub idle: u64,
}

impl Connections {
    /// Of so many open ones, so many are idle.
    pub(super) fn new(open: u32, idle: usize) -> Self {
        let (open, idle) = (u64::from(open), idle as u64);
        Self { used: open.saturating_sub(idle), idle }
    }
}

/// Whose eyes a file is looked at with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
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
    pub(super) fn after_id(&self) -> Uuid {
        self.after.as_deref().and_then(|after| Uuid::try_parse(after).ok()).unwrap_or_default()
    }
}

impl Default for Paging {
    fn default() -> Self {
        Self { after: None, limit: 1000 }
    }
}
