//! `peral revoke`

use clap::Args;
use peral_model::PeerId;
use peral_wire::{Failure, rest::peers::PeerChange};
use serde::Serialize;

use super::peers;
use crate::{
    context::Context,
    output::{CommandResult, Output, escape},
};

/// Revoke a peer's key permanently (administrators).
///
/// The peer loses access within one heartbeat, and its key can never join again. The same machine
/// can join as a new peer, with a new key.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The peer: its id, the beginning of its id, or its label.
    peer: String,
}

#[derive(Serialize)]
pub struct RevokeResult {
    pub peer: PeerId,
    pub label: String,
}

impl RevokeArgs {
    /// Revokes the key.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let user = context.user_session().await?;
        let peer = peers::find(&user.catalogue, &self.peer).await?;
        user.catalogue.change_peer(peer.id, &PeerChange { revoked: true }).await?;
        context.out.result(&RevokeResult { peer: peer.id, label: peer.label })
    }
}

impl CommandResult for RevokeResult {
    const SCHEMA: &'static str = "peral.revoke/1";

    fn text(&self, _: &Output) -> String {
        format!("Revoked peer {} ({}).\n", self.peer, escape(&self.label))
    }
}
