use peral_central::store::{
    Refusal,
    peers::{Beat, Writer},
    publish::{NewUpload, UPLOAD_MS},
};
use peral_model::{AccountId, UploadId, Visibility};
use peral_wire::rest::{
    accounts::Role,
    files::{Access, Right},
    peers::PeerState,
};

use crate::support::*;

fn upload(account: AccountId, text: &str, size: u64) -> NewUpload {
    let (access, tags) = (Vec::new(), Vec::new());
    let viewer = member(account);
    NewUpload {
        viewer,
        name: name(text),
        size,
        visibility: Visibility::Private,
        access,
        tags,
        replaces: 0,
        peer: None,
        placed: false,
        now_ms: NOW,
    }
}

async fn room(world: &World, writer: Writer, state: PeerState, room: u64) {
    let beat = Beat { writer, state, room, seen_ms: NOW, lease_ends_ms: LEASE };
    assert_eq!(world.store.beat(vec![beat]).await.unwrap().last_deltas, [Some(0)]);
}

fn ending(id: UploadId, text: &str, bytes: &str) -> peral_central::store::publish::NewVersion {
    peral_central::store::publish::NewVersion { upload: Some(id), ..fresh(text, bytes) }
}

pub async fn an_upload_publishes_for_who_asked(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let peer = world.peer(bob).await;
    room(world, peer, PeerState::Ready, 100).await;
    let lines = vec![Access { who: "bob".into(), right: Right::Read }];
    let begun = world
        .store
        .begin_upload(NewUpload {
            access: lines.clone(),
            tags: vec!["t".into()],
            ..upload(alice, "a", 10)
        })
        .await
        .unwrap();
    assert_eq!(
        (begun.peer, begun.place.address.as_str(), begun.visibility),
        (peer.peer, "10.0.0.1:7071", Visibility::Private)
    );
    world.publish(peer, ending(begun.id, "a", "0123456789")).await.unwrap();
    let detail = world.store.file(&name("a"), member(alice), NOW).await.unwrap().unwrap();
    assert_eq!(
        (detail.file.owner.as_str(), detail.file.visibility, detail.file.tags),
        ("alice", Visibility::Private, vec!["t".to_owned()])
    );
    assert_eq!(detail.access, lines);
    let next = world
        .store
        .begin_upload(NewUpload {
            replaces: 1,
            visibility: Visibility::Public,
            ..upload(alice, "a", 10)
        })
        .await
        .unwrap();
    assert_eq!(next.visibility, Visibility::Private, "a new version keeps its file's");
    world.publish(peer, ending(next.id, "a", "two")).await.unwrap();
    assert_eq!(world.current(&name("a")).await.version, 2);
}

pub async fn an_upload_must_fit(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let (peer, other) = (world.peer(bob).await, world.peer(bob).await);
    room(world, peer, PeerState::Ready, 100).await;
    let begun = world
        .store
        .begin_upload(NewUpload { peer: Some(peer.peer), ..upload(alice, "a", 3) })
        .await
        .unwrap();
    assert_eq!(
        world.publish(other, ending(begun.id, "a", "one")).await,
        Err(Refusal::BadUpload),
        "another peer's"
    );
    assert_eq!(
        world.publish(peer, ending(begun.id, "b", "one")).await,
        Err(Refusal::BadUpload),
        "another name"
    );
    assert_eq!(world.publish(peer, ending(begun.id, "a", "four")).await, Err(Refusal::TooLarge));
    assert_eq!(
        world.publish(peer, ending(UploadId(uuid::Uuid::nil()), "a", "one")).await,
        Err(Refusal::BadUpload)
    );
    let late = peral_central::store::publish::Publishing {
        writer: peer,
        key: "late".into(),
        versions: vec![ending(begun.id, "a", "one")],
        seal: seal(),
        now_ms: NOW + UPLOAD_MS,
    };
    assert_eq!(world.store.publish(late).await.unwrap(), [Err(Refusal::BadUpload)]);
    let disable = peral_central::store::accounts::AccountChange {
        disabled: Some(true),
        ..Default::default()
    };
    world.store.change_account(alice, disable, NOW).await.unwrap();
    assert_eq!(world.publish(peer, ending(begun.id, "a", "one")).await, Err(Refusal::Revoked));
    assert!(world.store.file(&name("a"), world.admin(), NOW).await.unwrap().is_none());
}

pub async fn an_upload_ends_once(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let peer = world.peer(bob).await;
    room(world, peer, PeerState::Ready, 100).await;
    let begun = world.store.begin_upload(upload(alice, "a", 10)).await.unwrap();
    let first = world.publish(peer, ending(begun.id, "a", "one")).await;
    assert!(first.is_ok());
    assert_eq!(
        world.publish(peer, ending(begun.id, "a", "one")).await,
        first,
        "the same again, under another key"
    );
    assert_eq!(world.publish(peer, ending(begun.id, "a", "two")).await, Err(Refusal::BadUpload));
}

pub async fn the_peer_with_most_room_is_chosen(world: &World) {
    let alice = world.account("alice").await;
    let nobody = world.store.begin_upload(upload(alice, "x", 1)).await;
    assert_eq!(refused(nobody), Refusal::NobodyOnline);
    let (small, large, full) =
        (world.peer(alice).await, world.peer(alice).await, world.peer(alice).await);
    assert_eq!(refused(world.store.begin_upload(upload(alice, "x", 1)).await), Refusal::NoRoom);
    room(world, small, PeerState::Ready, 50).await;
    room(world, large, PeerState::Ready, 100).await;
    room(world, full, PeerState::Full, 1000).await;
    let chosen = async |text: &str, size| {
        world.store.begin_upload(upload(alice, text, size)).await.map(|begun| begun.peer)
    };
    assert_eq!(chosen("a", 60).await.unwrap(), large.peer);
    assert_eq!(
        chosen("b", 45).await.unwrap(),
        small.peer,
        "60 of the 100 are on their way to the large one"
    );
    assert_eq!(refused(chosen("c", 41).await), Refusal::NoRoom);
    let at = |peer, size| NewUpload { peer: Some(peer), ..upload(alice, "d", size) };
    assert_eq!(refused(world.store.begin_upload(at(full.peer, 1)).await), Refusal::PeerFull);
    assert_eq!(refused(world.store.begin_upload(at(large.peer, 41)).await), Refusal::NoRoom);
    // Bytes that are on its disk already need no room.
    for peer in [full.peer, large.peer] {
        let placed = NewUpload { placed: true, ..at(peer, 5000) };
        assert_eq!(world.store.begin_upload(placed).await.unwrap().peer, peer);
    }
    let later = NewUpload { now_ms: LEASE, ..at(large.peer, 1) };
    assert_eq!(
        refused(world.store.begin_upload(later).await),
        Refusal::PeerUnavailable,
        "its lease has ended"
    );
}

pub async fn names_and_versions_are_checked_at_the_beginning(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let root = world.account_as("root", Role::Admin).await;
    let peer = world.peer(alice).await;
    room(world, peer, PeerState::Ready, 100).await;
    world.publish(peer, private("a", "one")).await.unwrap();
    assert_eq!(refused(world.store.begin_upload(upload(bob, "a", 1)).await), Refusal::NameTaken);
    assert_eq!(
        refused(world.store.begin_upload(upload(alice, "a", 1)).await),
        Refusal::VersionConflict
    );
    assert_eq!(
        refused(world.store.begin_upload(NewUpload { replaces: 1, ..upload(alice, "b", 1) }).await),
        Refusal::VersionConflict
    );
    let stranger = NewUpload {
        access: vec![Access { who: "nobody".into(), right: Right::Read }],
        ..upload(alice, "b", 1)
    };
    assert_eq!(
        refused(world.store.begin_upload(stranger).await),
        Refusal::UnknownPrincipal("nobody".into())
    );
    // An administrator writes what is another's, as long as it is one.
    let by_admin = NewUpload {
        viewer: peral_central::store::Viewer { account: root, admin: true },
        replaces: 1,
        ..upload(root, "a", 9)
    };
    let begun = world.store.begin_upload(by_admin).await.unwrap();
    world.publish(peer, ending(begun.id, "a", "two")).await.unwrap();
    let detail = world.store.file(&name("a"), member(alice), NOW).await.unwrap().unwrap();
    assert_eq!((detail.file.version, detail.file.owner.as_str()), (2, "alice"));
    // Somebody else was quicker.
    let begun = world.store.begin_upload(upload(alice, "c", 9)).await.unwrap();
    world.publish(world.peer(bob).await, fresh("c", "bob's")).await.unwrap();
    assert_eq!(world.publish(peer, ending(begun.id, "c", "mine")).await, Err(Refusal::NameTaken));
}

pub async fn an_upload_brings_a_removed_name_back(world: &World) {
    let alice = world.account("alice").await;
    let peer = world.peer(alice).await;
    room(world, peer, PeerState::Ready, 100).await;
    let one = world.published(peer, fresh("a", "one")).await;
    world.store.delete_file(&name("a"), member(alice), NOW).await.unwrap();
    let begun = world.store.begin_upload(upload(alice, "a", 9)).await.unwrap();
    let back = world.published(peer, ending(begun.id, "a", "one")).await;
    assert!(back.file != one.file && back.version == 1);
}
