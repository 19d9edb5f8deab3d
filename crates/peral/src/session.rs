//! The account that a command acts for: that of an API token, or the user who logged in, or else
//! that of the peer on this machine.

mod peer;
mod token;
mod user;

use peral_model::AccountId;
use peral_wire::{Catalogue, Failure};

pub use self::{
    peer::PeerSession,
    token::TokenSession,
    user::{UserSession, log_in},
};

/// Who asks central.
pub enum AnySession {
    /// The user.
    User(Box<UserSession>),
    /// The account of the peer on this machine.
    Peer(Box<PeerSession>),
}

impl AnySession {
    /// Central, with a token.
    pub fn catalogue(&self) -> &Catalogue {
        match self {
            Self::User(user) => &user.catalogue,
            Self::Peer(peer) => &peer.catalogue,
        }
    }

    /// The account that asks.
    ///
    /// # Errors
    /// What central answers.
    pub async fn account(&self) -> Result<AccountId, Failure> {
        match self {
            Self::User(user) => Ok(user.login.account),
            Self::Peer(peer) => Ok(peer.catalogue.whoami().await?.account),
        }
    }

    /// Which way a command went, in words.
    pub fn way(&self) -> String {
        let base = self.catalogue().base();
        match self {
            Self::User(user) => format!("central {base}, as {}", user.login.name),
            Self::Peer(peer) => format!("central {base}, as the account of peer {}", peer.peer),
        }
    }
}
