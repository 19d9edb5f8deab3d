//! `peral revoke`

use clap::Args;
use peral_model::PeerId;
use peral_wire::{Failure, rest::peers::PeerChange};
use serde::Serialize;

use super::peers;
use crate::{context::Context, output::shown};

/// Revoke a peer's key for good (administrators).
///
/// The peer is out within a heartbeat, and its key never joins again. Its machine can come back as
/// a new peer, with a new key.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Id of the peer, the beginning of it, or its label.
    peer: String,
}

#[derive(Serialize)]
struct Revoked {
    peer: PeerId,
    label: String,
}

impl RevokeArgs {
    /// Revokes the key.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let user = context.user_session().await?;
        let peer = peers::find(&user.catalogue, &self.peer).await?;
        user.catalogue.change_peer(peer.id, &PeerChange { revoked: true }).await?;
        let said = Revoked { peer: peer.id, label: peer.label };
        context.out.result("peral.revoke/1", &said, |said| {
            format!("Revoked peer {} ({}).\n", said.peer, shown(&said.label))
        })
    }
}
