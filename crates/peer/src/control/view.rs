//! What the control service shows of a peer.

use std::sync::OnceLock;

use peral_transfer::dial::Dialer;

use crate::{jobs::Jobs, library::Library, link::IdentityLoss, membership::Membership};

/// All states of a peer.
pub(super) const STATES: [&str; 6] =
    ["ready", "full", "leaving", "superseded", "revoked", "waiting-for-central"];

/// What exists only once the network is known.
#[derive(Clone)]
pub struct Engine {
    /// Accepted downloads.
    pub jobs: Jobs,
    /// Connects to other peers.
    pub dialer: Dialer,
}

/// The parts of a peer.
pub(super) struct View {
    pub library: Library,
    pub membership: Membership,
    pub engine: OnceLock<Engine>,
}

impl View {
    /// The state of the peer: one of [`STATES`].
    pub fn state(&self) -> &'static str {
        let link = self.library.link();
        match link.lost() {
            Some(IdentityLoss::Superseded) => "superseded",
            Some(IdentityLoss::Revoked) => "revoked",
            None if self.membership.is_leaving() => "leaving",
            None if link.registration().is_none() || self.membership.trouble().is_some() => {
                "waiting-for-central"
            }
            None if self.library.space().is_full() => "full",
            None => "ready",
        }
    }

    /// Whether central accepted the last heartbeat.
    pub fn is_connected(&self) -> bool {
        let link = self.library.link();
        link.registration().is_some()
            && link.lost().is_none()
            && self.membership.trouble().is_none()
    }
}
