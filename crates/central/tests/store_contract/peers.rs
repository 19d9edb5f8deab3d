use std::collections::BTreeSet;

use peral_central::store::{
    Paging, Refusal,
    accounts::AccountChange,
    peers::{Beat, Pod, Registered, Registering, Writer},
};
use peral_model::Identity;
use peral_wire::rest::{
    accounts::Role,
    holdings::Extent,
    peers::{ListedState, Notice, PeerState},
};

use crate::support::*;

fn beat(writer: Writer, lease_ends_ms: i64) -> Beat {
    Beat { writer, state: PeerState::Ready, room: 1000, seen_ms: NOW, lease_ends_ms }
}

async fn state(world: &World, now_ms: i64) -> ListedState {
    world.store.peers(Paging::default(), now_ms).await.unwrap().items[0].state
}

pub async fn a_new_key_needs_a_join_token(world: &World) {
    let alice = world.account("alice").await;
    assert_eq!(
        refused(world.store.register(world.registering(b"k", None)).await),
        Refusal::BadToken
    );
    assert_eq!(
        refused(world.store.register(world.registering(b"k", Some(b"unknown".to_vec()))).await),
        Refusal::BadToken
    );
    let token = world.join_token(alice, 1).await;
    let late =
        Registering { now_ms: NOW + 3_600_000, ..world.registering(b"k", Some(token.clone())) };
    assert_eq!(refused(world.store.register(late).await), Refusal::BadToken, "it has ended");
    let made = world.store.register(world.registering(b"k", Some(token.clone()))).await.unwrap();
    assert_eq!((made.epoch, made.account, made.last_delta, made.new), (1, alice, 0, true));
    assert_eq!(
        refused(world.store.register(world.registering(b"l", Some(token))).await),
        Refusal::BadToken,
        "it is used up"
    );
}

pub async fn a_known_key_gets_its_id_and_the_next_epoch(world: &World) {
    let alice = world.account("alice").await;
    let token = world.join_token(alice, 2).await;
    let first = world.store.register(world.registering(b"k", Some(token.clone()))).await.unwrap();
    let again = Registering {
        address: "10.0.0.9:7171".into(),
        node: "n".into(),
        ..world.registering(b"k", Some(token))
    };
    let second = world.store.register(again).await.unwrap();
    assert_eq!((second.peer, second.epoch, second.new), (first.peer, 2, false));
    let known = world.store.peer(first.peer).await.unwrap().unwrap();
    assert_eq!(
        (known.epoch, known.place.address.as_str(), known.place.node.as_str(), known.active),
        (2, "10.0.0.9:7171", "n", true)
    );
    assert_eq!(known.public_key, b"k");
    let uses = world.store.join_tokens(Paging::default(), NOW).await.unwrap().items[0].uses_left;
    assert_eq!(uses, Some(1), "a known key takes no use");
    let (old, new) = (Writer { peer: first.peer, epoch: 1 }, Writer { peer: first.peer, epoch: 2 });
    assert_eq!(refused(world.store.renew_peer(old, CERTIFICATE).await), Refusal::StaleEpoch);
    world.store.renew_peer(new, CERTIFICATE).await.unwrap();
}

pub async fn one_use_of_a_join_token_lets_one_peer_in(world: &World) {
    let alice = world.account("alice").await;
    let token = world.join_token(alice, 1).await;
    let tries =
        (0..8_u8).map(|key| world.store.register(world.registering(&[key], Some(token.clone()))));
    let results = futures::future::join_all(tries).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert_eq!(world.store.peers(Paging::default(), NOW).await.unwrap().items.len(), 1);
}

pub async fn one_key_registered_at_once_is_one_peer(world: &World) {
    let alice = world.account("alice").await;
    let token = world.join_token(alice, 4).await;
    let tries =
        (0..4).map(|_| world.store.register(world.registering(b"key", Some(token.clone()))));
    let made: Vec<_> =
        futures::future::join_all(tries).await.into_iter().map(|made| made.unwrap()).collect();
    let ids: BTreeSet<_> = made.iter().map(|made| made.peer).collect();
    let epochs: BTreeSet<_> = made.iter().map(|made| made.epoch).collect();
    assert_eq!(
        (ids.len(), epochs),
        (1, BTreeSet::from([1, 2, 3, 4])),
        "one peer, and no epoch twice"
    );
    assert_eq!(
        world.store.join_tokens(Paging::default(), NOW).await.unwrap().items[0].uses_left,
        Some(3)
    );
}

pub async fn heartbeats_renew_leases_of_the_current_epoch(world: &World) {
    let alice = world.account("alice").await;
    let (peer, other) = (world.peer(alice).await, world.peer(alice).await);
    let stale = Writer { epoch: 7, ..peer };
    let unknown = Writer { peer: peral_model::PeerId(uuid::Uuid::nil()), epoch: 1 };
    let beats = vec![
        beat(peer, LEASE + 1),
        beat(stale, LEASE + 99),
        beat(unknown, LEASE),
        beat(other, LEASE),
        beat(peer, LEASE + 2),
    ];
    let beaten = world.store.beat(beats).await.unwrap();
    assert_eq!(beaten.last_deltas, [Some(0), None, None, Some(0), Some(0)]);
    let listed = world.store.peers(Paging::default(), LEASE + 1).await.unwrap().items;
    let states: Vec<_> =
        listed.iter().map(|listed| (listed.id == peer.peer, listed.state)).collect();
    assert!(
        states.contains(&(true, ListedState::Ready))
            && states.contains(&(false, ListedState::Away)),
        "{states:?}"
    );

    let session = world.session(alice, "s", NOW).await;
    world.store.end_session(session, None, NOW).await.unwrap();
    let file = world.published(peer, fresh("a", "1")).await;
    world.hold(peer, file, Extent::All).await;
    let full = Beat { state: PeerState::Full, room: 3, ..beat(peer, LEASE) };
    let beaten = world.store.beat(vec![full]).await.unwrap();
    assert_eq!((beaten.last_deltas, beaten.newest_notice), (vec![Some(1)], 1));
    let listed = world.store.peers(Paging::default(), NOW).await.unwrap().items;
    let listed = listed.iter().find(|listed| listed.id == peer.peer).unwrap();
    assert_eq!(
        (listed.state, listed.room, listed.files, listed.account.as_str()),
        (ListedState::Full, 3, 1, "alice")
    );
    assert!(world.store.beat(Vec::new()).await.unwrap().last_deltas.is_empty());
}

pub async fn a_peer_that_logged_out_stays_out(world: &World) {
    let alice = world.account("alice").await;
    let token = world.join_token(alice, 1).await;
    let made = world.store.register(world.registering(b"k", Some(token))).await.unwrap();
    let peer = Writer { peer: made.peer, epoch: made.epoch };
    assert_eq!(
        refused(world.store.log_out_peer(peer.peer, Some(9), NOW).await),
        Refusal::StaleEpoch
    );
    assert_eq!(state(world, NOW).await, ListedState::Ready);
    assert!(world.store.log_out_peer(peer.peer, Some(1), NOW).await.unwrap());
    assert_eq!(state(world, NOW).await, ListedState::Away);
    // A heartbeat that was on its way does not bring it back.
    assert_eq!(world.store.beat(vec![beat(peer, LEASE)]).await.unwrap().last_deltas, [None]);
    assert_eq!(refused(world.publish_all(peer, vec![fresh("a", "1")]).await), Refusal::StaleEpoch);
    assert_eq!(state(world, NOW).await, ListedState::Away);
    let again = world.store.register(world.registering(b"k", None)).await.unwrap();
    assert_eq!((again.peer, again.epoch), (peer.peer, 2));
    assert_eq!(state(world, NOW).await, ListedState::Ready);
    assert!(
        !world.store.log_out_peer(peral_model::PeerId(uuid::Uuid::nil()), None, NOW).await.unwrap()
    );
}

pub async fn revoking_is_for_good(world: &World) {
    let alice = world.account("alice").await;
    let watcher = world.peer(alice).await;
    let token = world.join_token(alice, 2).await;
    let made = world.store.register(world.registering(b"k", Some(token.clone()))).await.unwrap();
    world.store.renew_peer(Writer { peer: made.peer, epoch: 1 }, CERTIFICATE + 5).await.unwrap();
    assert!(world.store.revoke_peer(made.peer, NOW).await.unwrap());
    assert_eq!(
        refused(world.store.register(world.registering(b"k", Some(token))).await),
        Refusal::PeerRevoked
    );
    assert_eq!(
        world
            .store
            .beat(vec![beat(Writer { peer: made.peer, epoch: 1 }, LEASE)])
            .await
            .unwrap()
            .last_deltas,
        [None]
    );
    let notices = world.store.notices(watcher.peer, 0, NOW).await.unwrap().notices;
    assert_eq!(
        notices,
        [Notice::Revoked { identity: Identity::Peer(made.peer), until_ms: CERTIFICATE + 5 }]
    );
    let listed = world.store.peers(Paging::default(), NOW).await.unwrap().items;
    assert!(listed.iter().any(|peer| peer.id == made.peer && peer.state == ListedState::Revoked));
    assert!(!world.store.revoke_peer(peral_model::PeerId(uuid::Uuid::nil()), NOW).await.unwrap());
}

async fn register_pod(world: &World, key: &[u8], name: &str, uid: &str) -> Registered {
    world.store.register(world.registering_pod(key, name, uid)).await.unwrap()
}

pub async fn a_pod_is_a_peer_by_its_name_and_key(world: &World) {
    let first = register_pod(world, b"k", "p-0", "u1").await;
    assert_eq!((first.epoch, first.new, first.ended), (1, true, None));
    let account = world.store.account(first.account).await.unwrap().unwrap();
    assert_eq!(
        (account.name.as_str(), account.role, account.disabled),
        ("peers", Role::Member, false)
    );
    assert_eq!(world.store.secret("peers").await.unwrap().unwrap().password, None);
    let again = register_pod(world, b"k", "p-0", "u2").await;
    assert_eq!(
        (again.peer, again.epoch, again.new, again.ended, again.account),
        (first.peer, 2, false, None, first.account)
    );
    let pod = |name: &str, uid: &str| Some(Pod { name: name.into(), uid: uid.into() });
    assert_eq!(world.store.peer(first.peer).await.unwrap().unwrap().pod, pod("p-0", "u2"));
    assert_ne!(register_pod(world, b"l", "p-1", "u3").await.peer, first.peer);
    assert_eq!(
        refused(world.store.register(world.registering_pod(b"k", "p-1", "u3")).await),
        Refusal::OtherPod
    );
    let token = world.join_token(first.account, 1).await;
    assert_eq!(
        refused(world.store.register(world.registering(b"k", Some(token.clone()))).await),
        Refusal::NeedsPod
    );
    let plain = world.store.register(world.registering(b"m", Some(token))).await.unwrap();
    assert_eq!(
        refused(world.store.register(world.registering_pod(b"m", "p-2", "u4")).await),
        Refusal::NotAPod
    );
    let plain = world.store.peer(plain.peer).await.unwrap().unwrap();
    assert_eq!((plain.pod, plain.epoch), (None, 1));
    assert_eq!(
        world.store.peer(first.peer).await.unwrap().unwrap().epoch,
        2,
        "what was refused changed nothing"
    );
}

pub async fn a_new_key_of_a_pod_ends_its_peer(world: &World) {
    let alice = world.account("alice").await;
    let watcher = world.peer(alice).await;
    let lost = register_pod(world, b"k", "p-0", "u1").await;
    let file = world.published(Writer { peer: lost.peer, epoch: 1 }, fresh("a", "1")).await;
    let new = register_pod(world, b"l", "p-0", "u2").await;
    assert_eq!((new.new, new.epoch, new.ended), (true, 1, Some(lost.peer)));
    let old = world.store.peer(lost.peer).await.unwrap().unwrap();
    assert!(old.revoked && !old.active);
    let writer = Writer { peer: lost.peer, epoch: 1 };
    assert_eq!(
        refused(world.publish_all(writer, vec![after(file, "a", "2")]).await),
        Refusal::StaleEpoch
    );
    assert_eq!(world.store.beat(vec![beat(writer, LEASE)]).await.unwrap().last_deltas, [None]);
    assert_eq!(
        refused(world.store.register(world.registering_pod(b"k", "p-0", "u2")).await),
        Refusal::PeerRevoked
    );
    let notices = world.store.notices(watcher.peer, 0, NOW).await.unwrap().notices;
    assert_eq!(
        notices,
        [Notice::Revoked { identity: Identity::Peer(lost.peer), until_ms: CERTIFICATE }]
    );
    let other_key =
        async |uid| refused(world.store.register(world.registering_pod(b"m", "p-0", uid)).await);
    assert_eq!(other_key("u2").await, Refusal::OtherKey, "the same pod");
    let third = register_pod(world, b"m", "p-0", "u3").await;
    assert_eq!(third.ended, Some(new.peer), "the one before, and not the first again");
    assert!(world.store.revoke_peer(third.peer, NOW).await.unwrap());
    assert_eq!(
        refused(world.store.register(world.registering_pod(b"n", "p-0", "u3")).await),
        Refusal::OtherKey,
        "revoked for good"
    );
    assert_eq!(
        register_pod(world, b"n", "p-0", "u4").await.ended,
        None,
        "that one had ended already"
    );
}

pub async fn a_pod_that_registers_at_once_is_one_peer(world: &World) {
    let tries = (0..6_u8).map(|key| {
        world.store.register(world.registering_pod(
            &[key % 2],
            "p-0",
            ["u1", "u2"][usize::from(key % 2)],
        ))
    });
    let results = futures::future::join_all(tries).await;
    let won = results.iter().filter(|result| result.is_ok()).count();
    assert!(won >= 2, "{results:?}");
    for error in results.into_iter().filter_map(Result::err) {
        assert_eq!(refused(Err::<(), _>(error)), Refusal::PeerRevoked);
    }
    let listed = world.store.peers(Paging::default(), NOW).await.unwrap().items;
    assert_eq!(
        (listed.len(), listed.iter().filter(|peer| peer.state == ListedState::Ready).count()),
        (2, 1)
    );
    assert_eq!(world.store.accounts(Paging::default()).await.unwrap().items.len(), 1);
}

pub async fn a_disabled_account_takes_no_pods(world: &World) {
    let first = register_pod(world, b"k", "p-0", "u1").await;
    let disable = AccountChange { disabled: Some(true), ..AccountChange::default() };
    world.store.change_account(first.account, disable, NOW).await.unwrap();
    for (key, name) in [(b"k", "p-0"), (b"l", "p-0"), (b"m", "p-1")] {
        assert_eq!(
            refused(world.store.register(world.registering_pod(key, name, "u2")).await),
            Refusal::Revoked,
            "{name}"
        );
    }
    assert!(
        !world.store.peer(first.peer).await.unwrap().unwrap().revoked,
        "what was refused ended nobody"
    );
}
