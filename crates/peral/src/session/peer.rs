//! The session of the peer on this machine.

use peral_model::PeerId;
use peral_wire::{Catalogue, Failure};

use crate::{
    central,
    control::{ControlClient, peer_id},
};

/// A peer's token, from its socket.
pub struct PeerSession {
    pub peer: PeerId,
    pub control: ControlClient,
    /// Central, with the peer's token.
    pub catalogue: Catalogue,
}

impl PeerSession {
    /// Asks the peer for its token. It vouches for central by the authority that it was started
    /// with.
    ///
    /// # Errors
    /// What the peer or central answers.
    pub async fn open(mut control: ControlClient) -> Result<Self, Failure> {
        let session = control.session().await?;
        let contact = central::known(&session.central, session.authority).await?;
        Ok(Self {
            peer: peer_id(&session.peer)?,
            control,
            catalogue: contact.catalogue.with_token(&session.token),
        })
    }
}
