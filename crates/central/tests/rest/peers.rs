//! Peers: joining, leases, epochs, notices, revocation.

use std::time::Duration;

use peral_model::{Identity, Visibility};
use peral_runtime::{Clock, tls::new_key};
use peral_wire::{
    ErrorCode,
    rest::{
        accounts::{AccountChange, Role},
        files::{FileChange, SourcesRequest},
        holdings::Deltas,
        peers::{Heartbeat, ListedState, Notice, PeerChange, PeerState},
        sessions::RenewRequest,
    },
};

use crate::support::{Net, Peer, code, csr};

async fn listed(net: &Net, peer: &Peer) -> ListedState {
    let peers = net.root().await.api.peers().await.unwrap().items;
    peers.iter().find(|listed| listed.id == peer.id).unwrap().state
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_token_lets_as_many_peers_join_as_it_says() {
    let net = Net::start().await;
    net.account("peers", Role::Member).await;
    let token = net.join_token("peers", 2).await;
    let first = net.register(new_key(), Some(token.clone())).await.unwrap();
    net.register(new_key(), Some(token.clone())).await.unwrap();
    for token in [Some(token), Some("peral_join_guess".into()), None] {
        assert_eq!(code(net.register(new_key(), token).await), ErrorCode::Unauthenticated);
    }
    let again = net.register(first.key.clone(), None).await.unwrap();
    assert_eq!(
        (again.id, again.done.epoch),
        (first.id, first.done.epoch + 1),
        "a known key needs no token"
    );
    let me = again.api.whoami().await.unwrap();
    assert_eq!((me.name.as_str(), me.role, me.identity), ("peers", Role::Member, first.identity()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_an_administrator_is_a_member() {
    let net = Net::start().await;
    let peer = net.peer("root").await;
    assert_eq!(peer.api.whoami().await.unwrap().role, Role::Member);
    assert_eq!(code(peer.api.accounts().await), ErrorCode::Forbidden);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_process_writes_nothing() {
    let net = Net::start().await;
    let old = net.peer("root").await;
    let new = net.register(old.key.clone(), None).await.unwrap();
    assert_eq!(code(old.beat(PeerState::Ready, 0).await), ErrorCode::StaleEpoch);
    assert_eq!(
        code(old.api.index(&Deltas { first: 1, deltas: vec![] }).await),
        ErrorCode::StaleEpoch
    );
    assert_eq!(code(old.publish("a", "a", Visibility::Public, None).await), ErrorCode::StaleEpoch);
    assert_eq!(code(old.api.log_out_peer(old.id).await), ErrorCode::StaleEpoch);
    let renewal = RenewRequest {
        identity: old.identity(),
        csr: csr(&old.key),
        epoch: Some(old.done.epoch),
        pod_token: None,
    };
    assert_eq!(
        code(net.client().renew(&net.prove(&renewal, &old.key).await).await),
        ErrorCode::StaleEpoch
    );
    new.beat(PeerState::Ready, 0).await.unwrap();
    let renewal = RenewRequest { epoch: Some(new.done.epoch), ..renewal };
    net.client().renew(&net.prove(&renewal, &new.key).await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_ends_thirty_seconds_after_the_last_heartbeat() {
    let mut net = Net::start().await;
    let peer = net.peer("root").await;
    net.clock.advance(Duration::from_secs(20));
    let answer = peer.beat(PeerState::Ready, 0).await.unwrap();
    net.client().with_token(&answer.token).whoami().await.unwrap();
    net.clock.advance(Duration::from_secs(29));
    assert_eq!(listed(&net, &peer).await, ListedState::Ready);
    net.restart().await;
    assert_eq!(listed(&net, &peer).await, ListedState::Ready, "a restart ends no lease");
    net.clock.advance(Duration::from_secs(2));
    assert_eq!(listed(&net, &peer).await, ListedState::Away);
}

/// A token that was stolen renews itself by heartbeats for as long as the peer's certificate lasts,
/// and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_alone_do_not_go_on_for_ever() {
    let net = Net::start().await;
    let peer = net.peer("root").await;
    let ends_ms = peer.done.credentials.certificate_ends_ms;
    let mut token = peer.done.credentials.token.clone();
    // A peer that is about to leave is written down at once.
    let beat = Heartbeat { state: PeerState::Leaving, room: 0, last_delta: 0, obeyed: 0 };
    let refused = loop {
        net.clock.advance(Duration::from_secs(14 * 60));
        match net.client().with_token(&token).heartbeat(&beat).await {
            Ok(answer) => {
                assert!(
                    net.clock.now_ms() < ends_ms && answer.token_ends_ms <= ends_ms,
                    "its certificate has ended"
                );
                token = answer.token;
            }
            Err(failure) => break failure,
        }
    };
    assert!(
        refused.code == ErrorCode::Unauthenticated && net.clock.now_ms() >= ends_ms,
        "{refused}"
    );
    let renewal = RenewRequest {
        identity: peer.identity(),
        csr: csr(&peer.key),
        epoch: Some(peer.done.epoch),
        pod_token: None,
    };
    let renewed = net.client().renew(&net.prove(&renewal, &peer.key).await).await.unwrap();
    net.client().with_token(&renewed.token).heartbeat(&beat).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaving_peer_and_one_that_logged_out_are_no_sources() {
    let net = Net::start().await;
    let (staying, leaving) = (net.peer("root").await, net.peer("root").await);
    for peer in [&staying, &leaving] {
        peer.share("a", "a", Visibility::Public).await.unwrap();
    }
    let root = net.root().await;
    let sources = async || {
        root.api
            .sources(&SourcesRequest { name: Some("a".into()), ..Default::default() })
            .await
            .unwrap()
    };
    assert_eq!(sources().await.sources.len(), 2);
    leaving.beat(PeerState::Leaving, 0).await.unwrap();
    assert_eq!(
        sources().await.sources.iter().map(|source| source.peer).collect::<Vec<_>>(),
        [staying.id]
    );
    assert_eq!(listed(&net, &leaving).await, ListedState::Leaving);
    assert_eq!(code(leaving.api.log_out_peer(staying.id).await), ErrorCode::Forbidden);
    leaving.api.log_out_peer(leaving.id).await.unwrap();
    assert_eq!(listed(&net, &leaving).await, ListedState::Away);
    assert!(leaving.api.whoami().await.is_err(), "its token ended");
    assert_eq!(code(leaving.beat(PeerState::Ready, 0).await), ErrorCode::StaleEpoch);
    assert_eq!((sources().await.sources.len(), sources().await.away), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_peer_is_out_and_the_others_hear_of_it() {
    let net = Net::start().await;
    let (peer, other) = (net.peer("root").await, net.peer("root").await);
    peer.api.whoami().await.unwrap();
    let obeyed = other.beat(PeerState::Ready, 0).await.unwrap().obeyed;
    let root = net.root().await;
    assert_eq!(
        code(root.api.change_peer(peer.id, &PeerChange { revoked: false }).await),
        ErrorCode::InvalidArgument
    );
    root.api.change_peer(peer.id, &PeerChange { revoked: true }).await.unwrap();
    assert_eq!(code(peer.api.whoami().await), ErrorCode::Unauthenticated);
    assert_eq!(code(peer.beat(PeerState::Ready, 0).await), ErrorCode::Revoked);
    assert_eq!(
        code(net.register(peer.key.clone(), None).await),
        ErrorCode::Revoked,
        "its key is revoked for good"
    );
    let renewal = RenewRequest {
        identity: peer.identity(),
        csr: csr(&peer.key),
        epoch: Some(peer.done.epoch),
        pod_token: None,
    };
    assert_eq!(
        code(net.client().renew(&net.prove(&renewal, &peer.key).await).await),
        ErrorCode::Revoked
    );
    let answer = other.beat(PeerState::Ready, obeyed).await.unwrap();
    assert!(answer.notices.iter().any(
        |notice| matches!(notice, Notice::Revoked { identity, .. } if *identity == peer.identity())
    ));
    let after = other.beat(PeerState::Ready, answer.obeyed).await.unwrap();
    assert_eq!(
        (after.notices, after.obeyed),
        (vec![], answer.obeyed),
        "an obeyed notice is not sent again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_an_account_ends_its_peers() {
    let net = Net::start().await;
    let user = net.member("ada").await;
    let (peer, other) = (net.peer("ada").await, net.peer("root").await);
    let disable = AccountChange { disabled: Some(true), ..AccountChange::default() };
    net.root().await.api.change_account(user.login.account, &disable).await.unwrap();
    assert_eq!(code(peer.api.whoami().await), ErrorCode::Unauthenticated);
    let told = other.beat(PeerState::Ready, 0).await.unwrap().notices;
    for gone in [user.identity(), peer.identity()] {
        assert!(
            told.iter().any(
                |notice| matches!(notice, Notice::Revoked { identity, .. } if *identity == gone)
            ),
            "{gone}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_hear_when_a_file_changes_or_goes() {
    let net = Net::start().await;
    let peer = net.peer("root").await;
    let record = peer.share("a", "a", Visibility::Public).await.unwrap();
    let root = net.root().await;
    let name = record.name.clone();
    let before = peer.beat(PeerState::Ready, 0).await.unwrap().obeyed;
    root.api
        .change_file(
            &name,
            &FileChange { visibility: Some(Visibility::Private), ..Default::default() },
        )
        .await
        .unwrap();
    let answer = peer.beat(PeerState::Ready, before).await.unwrap();
    let changed = answer.notices.iter().find_map(|notice| match notice {
        Notice::Changed { file, serial, records } if *file == record.file => {
            Some((*serial, records.len()))
        }
        _ => None,
    });
    assert!(
        changed.is_some_and(|(serial, records)| serial > record.serial && records == 1),
        "{changed:?}"
    );
    root.api.remove_file(&name).await.unwrap();
    let told = peer.beat(PeerState::Ready, answer.obeyed).await.unwrap().notices;
    let removed = told.iter().any(|notice| match notice {
        Notice::Removed { file, hash, .. } => *file == record.file && *hash == record.content.hash,
        _ => false,
    });
    assert!(removed, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_lead_elsewhere_are_refused() {
    let net = Net::start_with(|config| config.allow_loopback_peers = false).await;
    let token = net.join_token("root", 1).await;
    for address in [
        "127.0.0.1:7071",
        "169.254.169.254:80",
        "[::ffff:127.0.0.1]:1",
        "0.0.0.0:7071",
        "peer.example:7071",
    ] {
        assert_eq!(
            code(net.register_at(new_key(), Some(token.clone()), address).await),
            ErrorCode::InvalidAddress,
            "{address}"
        );
    }
    net.register_at(new_key(), Some(token), "10.1.2.3:7071").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_heartbeats_of_one_peer_at_once_do_no_harm() {
    let net = Net::start().await;
    let peer = net.peer("root").await;
    let answers = futures::future::join_all((0..20).map(|_| peer.beat(PeerState::Ready, 0))).await;
    assert!(answers.iter().any(Result::is_ok));
    assert!(
        answers.into_iter().filter_map(Result::err).all(|failure| failure.code == ErrorCode::Busy)
    );
    assert_eq!(peer.api.whoami().await.unwrap().identity, Identity::Peer(peer.id));
}
