//! What an upload is asked for, and what it works with.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use peral_model::{AccountId, Ticket, Visibility};
use peral_wire::{Sealed, keys::Verifier};

use crate::{dial::Dialer, limits::Limits, metrics::Metrics};

/// What to upload, and to whom.
#[derive(Debug, Clone)]
pub struct SendRequest {
    /// The file.
    pub path: PathBuf,
    /// Central's ticket, of which this process is the bearer.
    pub ticket: Sealed<Ticket>,
    /// Where the peer of the ticket is.
    pub address: SocketAddr,
    /// Who is to own the name, and who may read it.
    pub expected: ExpectedRecord,
}

/// What the record must say besides name, hash and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedRecord {
    /// The owner.
    pub owner: AccountId,
    /// Who may read it.
    pub visibility: Visibility,
}

impl ExpectedRecord {
    /// For a new name: what the ticket says. A new version keeps what its file has.
    pub fn of(ticket: &Ticket) -> Self {
        Self { owner: ticket.account, visibility: ticket.visibility }
    }
}

/// What an upload works with.
#[derive(Clone)]
pub struct SendDeps {
    /// Connects to peers.
    pub dialer: Dialer,
    /// Verifies the record.
    pub verifier: Arc<Verifier>,
    /// The limits of this process.
    pub limits: Limits,
    /// Counters.
    pub metrics: Metrics,
}
