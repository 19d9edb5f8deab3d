//! `peral peers`

use std::collections::HashSet;

use clap::Args;
use peral_model::PeerId;
use peral_wire::{
    Catalogue, Failure, fail,
    rest::peers::{ListedState, Peer},
};
use serde::Serialize;

use crate::{
    context::Context,
    output::{CommandResult, Output, Table, age, bytes},
};

/// List the peers of the network.
#[derive(Debug, Args)]
pub struct PeersArgs {
    /// Only peers that are online.
    #[arg(long)]
    live: bool,
}

#[derive(Serialize)]
pub struct PeersResult {
    pub way: String,
    pub items: Vec<Peer>,
}

impl PeersArgs {
    /// Asks central.
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session().await?;
        let mut items = session.catalogue().peers().await?.items;
        items.retain(|peer| !self.live || is_live(peer.state));
        context.out.result(&PeersResult { way: session.way(), items })
    }
}

impl CommandResult for PeersResult {
    const SCHEMA: &'static str = "peral.peers/1";

    fn text(&self, out: &Output) -> String {
        let mut table = Table::new(&[
            "ID",
            "LABEL",
            "ADDRESS",
            "STATE",
            "ACCOUNT",
            "FILES",
            "FREE",
            "SEEN",
            "ZONE/NODE",
        ])
        .right(&[5, 6]);
        for peer in &self.items {
            let place = [peer.zone.as_str(), peer.node.as_str()]
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join("/");
            table.row([
                &peer.id.to_string(),
                &peer.label,
                &peer.address,
                state_word(peer.state),
                &peer.account,
                &peer.files.to_string(),
                &bytes(peer.room),
                &age(peer.seen_ms, out.now_ms()),
                &place,
            ]);
        }
        out.table(&table, "no peers")
    }
}

fn is_live(state: ListedState) -> bool {
    !matches!(state, ListedState::Away | ListedState::Revoked)
}

fn state_word(state: ListedState) -> &'static str {
    match state {
        ListedState::Ready => "ready",
        ListedState::Full => "full",
        ListedState::Leaving => "leaving",
        ListedState::Away => "away",
        ListedState::Revoked => "revoked",
    }
}

/// The peer that a person names: by its id, the beginning of its id, or its label.
///
/// # Errors
/// NOT_FOUND. INVALID_ARGUMENT: several peers match.
pub async fn find(catalogue: &Catalogue, text: &str) -> Result<Peer, Failure> {
    choose(catalogue.peers().await?.items, text)
}

fn choose(peers: Vec<Peer>, text: &str) -> Result<Peer, Failure> {
    if let Ok(id) = text.parse::<PeerId>() {
        return peers
            .into_iter()
            .find(|peer| peer.id == id)
            .ok_or_else(|| fail!(NotFound, "there is no peer {id}; `peral peers` lists them"));
    }
    let mut matches: Vec<Peer> = peers
        .into_iter()
        .filter(|peer| {
            peer.label == text || (!text.is_empty() && peer.id.to_string().starts_with(text))
        })
        .collect();
    if matches.len() > 1 {
        // A peer that joined again as a new one keeps its label: the one that is online counts. But
        // a peer that is not a pod chooses its own label: it must not take what is sent to another
        // account's peer while that one is offline.
        matches.sort_by_key(|peer| !is_live(peer.state));
        let live = matches.iter().filter(|peer| is_live(peer.state)).count();
        let accounts: HashSet<&str> = matches
            .iter()
            .filter(|peer| peer.state != ListedState::Revoked)
            .map(|peer| peer.account.as_str())
            .collect();
        if live != 1 || accounts.len() > 1 {
            return Err(fail!(
                InvalidArgument,
                "{} peers match {text:?}: write more of the id",
                matches.len()
            ));
        }
    }
    matches
        .into_iter()
        .next()
        .ok_or_else(|| fail!(NotFound, "there is no peer {text:?}; `peral peers` lists them"))
}

#[cfg(test)]
mod tests {
    use peral_wire::ErrorCode;
    use uuid::Uuid;

    use super::*;

    fn peer(id: u128, label: &str, state: ListedState) -> Peer {
        let (account, address, node, zone) =
            ("peers".into(), "10.0.0.1:7071".into(), String::new(), String::new());
        Peer {
            id: PeerId(Uuid::from_u128(id)),
            label: label.into(),
            account,
            address,
            node,
            zone,
            state,
            room: 0,
            files: 0,
            seen_ms: 0,
            version: String::new(),
        }
    }

    #[test]
    fn a_peer_is_found_by_id_by_its_beginning_and_by_label() {
        let peers = || {
            vec![
                peer(0xaa << 120, "one", ListedState::Ready),
                peer(0xab << 120, "two", ListedState::Away),
                peer(0xac << 120, "two", ListedState::Full),
            ]
        };
        let label_of = |text: &str| {
            choose(peers(), text)
                .map(|peer| peer.id.to_string()[..2].to_owned())
                .map_err(|failure| failure.code)
        };
        assert_eq!(label_of("one"), Ok("aa".into()));
        assert_eq!(label_of("two"), Ok("ac".into()));
        assert_eq!(label_of("ab"), Ok("ab".into()));
        assert_eq!(label_of("ab000000-0000-0000-0000-000000000000"), Ok("ab".into()));
        assert_eq!(label_of("a"), Err(ErrorCode::InvalidArgument));
        assert_eq!(label_of("three"), Err(ErrorCode::NotFound));
        assert_eq!(label_of(""), Err(ErrorCode::NotFound));
    }

    #[test]
    fn nobody_takes_the_label_of_another_accounts_peer() {
        let found = |own: ListedState, other: ListedState| {
            let (own, other) =
                (peer(0xaa << 120, "peral-peer-0", own), peer(0xab << 120, "peral-peer-0", other));
            choose(vec![own, Peer { account: "eve".into(), ..other }], "peral-peer-0")
                .map(|peer| peer.account)
                .map_err(|failure| failure.code)
        };
        assert_eq!(found(ListedState::Away, ListedState::Ready), Err(ErrorCode::InvalidArgument));
        assert_eq!(
            found(ListedState::Ready, ListedState::Away),
            Err(ErrorCode::InvalidArgument),
            "it is not clear which of the two is meant"
        );
        assert_eq!(found(ListedState::Ready, ListedState::Revoked).as_deref(), Ok("peers"));
    }
}
