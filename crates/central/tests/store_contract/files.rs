use peral_central::store::{
    Refusal, Viewer,
    files::{FileKey, SourcesOf},
    peers::Beat,
};
use peral_model::{FileId, Visibility};
use peral_wire::rest::{
    files::{Access, FileChange, Right},
    holdings::Extent,
    peers::{Notice, PeerState},
};

use crate::support::*;

async fn sees(world: &World, text: &str, viewer: Viewer) -> bool {
    let file = world.store.file(&name(text), viewer, NOW).await.unwrap().is_some();
    let found = world.store.find(FileKey::Name(name(text)), None, viewer).await.unwrap().is_some();
    let located = world.store.locate(&name(text), viewer, NOW).await.unwrap().is_some();
    let listed = world
        .store
        .search(look("", viewer))
        .await
        .unwrap()
        .items
        .iter()
        .any(|file| file.name == name(text));
    assert!(
        [found, located, listed].iter().all(|other| *other == file),
        "all ways of looking agree"
    );
    file
}

pub async fn a_private_file_is_there_for_its_own(world: &World) {
    let (alice, bob, carol) =
        (world.account("alice").await, world.account("bob").await, world.account("carol").await);
    world.publish(world.peer(alice).await, private("a", "one")).await.unwrap();
    assert!(sees(world, "a", member(alice)).await && sees(world, "a", world.admin()).await);
    assert!(!sees(world, "a", member(bob)).await && !sees(world, "a", member(carol)).await);
    world.grant("a", alice, "bob", Right::Read).await;
    let group = world.store.create_group("team").await.unwrap();
    world.grant("a", alice, "group:team", Right::Read).await;
    assert!(sees(world, "a", member(bob)).await && !sees(world, "a", member(carol)).await);
    world.store.add_member(group.id, carol).await.unwrap();
    assert!(sees(world, "a", member(carol)).await);
    let seen_by_bob = world.store.file(&name("a"), member(bob), NOW).await.unwrap().unwrap();
    assert!(seen_by_bob.access.is_empty(), "the list is for those who manage it");
    world.store.delete_group(group.id).await.unwrap();
    assert!(!sees(world, "a", member(carol)).await);
    let withdraw = FileChange { withdraw: vec!["bob".into()], ..FileChange::default() };
    world.change("a", alice, withdraw).await;
    assert!(!sees(world, "a", member(bob)).await);
}

pub async fn a_version_is_found_by_name_id_and_hash(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let (peer, other) = (world.peer(alice).await, world.peer(bob).await);
    let one = world.published(peer, private("a", "one")).await;
    world.publish(peer, after(one, "a", "two")).await.unwrap();
    let find = async |key, version, viewer| {
        let found = world.store.find(key, version, viewer).await.unwrap();
        found.map(|found| (found.record.name.to_string(), found.record.version))
    };
    let by_hash = |text: &str| FileKey::Hash(content(text).hash);
    assert_eq!(find(FileKey::Id(one.file), None, member(alice)).await, Some(("a".into(), 2)));
    assert_eq!(find(FileKey::Name(name("a")), Some(1), member(alice)).await, Some(("a".into(), 1)));
    assert_eq!(find(FileKey::Name(name("a")), Some(3), member(alice)).await, None);
    assert_eq!(find(by_hash("one"), None, member(alice)).await, Some(("a".into(), 1)));
    assert_eq!(find(by_hash("one"), Some(2), member(alice)).await, None);
    // Knowing a hash, or publishing it under an own name, gives nothing of another's file.
    assert_eq!(find(by_hash("one"), None, member(bob)).await, None);
    world.publish(other, private("b", "one")).await.unwrap();
    assert_eq!(find(by_hash("one"), None, member(bob)).await, Some(("b".into(), 1)));
    assert_eq!(find(FileKey::Id(one.file), Some(1), member(bob)).await, None);
}

fn make_private() -> FileChange {
    FileChange { visibility: Some(Visibility::Private), ..FileChange::default() }
}

async fn serial(world: &World, file: FileId, viewer: Viewer) -> u64 {
    world.found(file, None, viewer).await.record.serial
}

pub async fn a_change_needs_the_owner_and_known_principals(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let one = world.published(world.peer(alice).await, fresh("a", "one")).await;
    let by_bob = world.try_change("a", bob, make_private()).await;
    assert_eq!(refused(by_bob), Refusal::Forbidden);
    let grant = vec![Access { who: "group:none".into(), right: Right::Read }];
    let unknown = world.try_change("a", alice, FileChange { grant, ..make_private() }).await;
    assert_eq!(refused(unknown), Refusal::UnknownPrincipal("group:none".into()));
    assert_eq!(serial(world, one.file, member(bob)).await, 1, "nothing changed");
}

pub async fn changing_who_may_have_it_signs_all_versions_again(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let (peer, holder, stranger) =
        (world.peer(alice).await, world.peer(bob).await, world.peer(bob).await);
    let one = world.published(peer, fresh("a", "one")).await;
    let two = world.published(peer, after(one, "a", "two")).await;
    world.hold(holder, one, Extent::All).await;

    let detail = world.change("a", alice, make_private()).await;
    assert_eq!(detail.file.visibility, Visibility::Private);
    let mut records = Vec::new();
    for version in [two, one] {
        let found = world.found(one.file, Some(version.version), member(alice)).await;
        assert_eq!((found.record.serial, found.record.visibility), (2, Visibility::Private));
        assert_eq!(found.envelope, format!("{:?}", found.record).into_bytes());
        let base64 = &base64::engine::general_purpose::STANDARD;
        records.push(base64::Engine::encode(base64, found.envelope));
    }
    let changed = Notice::Changed { file: one.file, serial: 2, records };
    assert_eq!(world.notices(holder).await, [changed]);
    assert!(world.notices(stranger).await.is_empty(), "only who holds it hears of it");
    // The same once more changes nothing.
    world.change("a", alice, make_private()).await;
    assert_eq!(serial(world, one.file, member(alice)).await, 2);
    let by_bob = world.try_change("a", bob, make_private()).await;
    assert!(by_bob.unwrap().is_none(), "no longer there for bob");
}

pub async fn tags_leave_the_serial_alone(world: &World) {
    let alice = world.account("alice").await;
    let one = world.published(world.peer(alice).await, fresh("a", "one")).await;
    let tags = |tags: &[&str]| FileChange {
        tags: Some(tags.iter().map(|tag| (*tag).into()).collect()),
        ..FileChange::default()
    };
    let detail = world.change("a", alice, tags(&["b", "a,b", "b"])).await;
    assert_eq!(detail.file.tags, ["a,b", "b"]);
    assert_eq!(serial(world, one.file, member(alice)).await, 1);
    assert!(world.change("a", alice, tags(&[])).await.file.tags.is_empty());
    let absent = world.try_change("none", alice, FileChange::default()).await;
    assert!(absent.unwrap().is_none());
}

pub async fn removing_leaves_a_tombstone(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let (peer, holder) = (world.peer(alice).await, world.peer(bob).await);
    let one = world.published(peer, fresh("a", "one")).await;
    world.publish(peer, private("hidden", "one")).await.unwrap();
    world.hold(holder, one, Extent::Part).await;
    assert_eq!(
        refused(world.store.delete_file(&name("a"), member(bob), NOW).await),
        Refusal::Forbidden
    );
    assert!(
        !world.store.delete_file(&name("hidden"), member(bob), NOW).await.unwrap(),
        "as if it were not there"
    );
    assert!(world.store.delete_file(&name("a"), member(alice), NOW).await.unwrap());
    assert!(!world.store.delete_file(&name("a"), member(alice), NOW).await.unwrap());
    assert!(!sees(world, "a", world.admin()).await);
    assert!(world.store.find(FileKey::Id(one.file), None, world.admin()).await.unwrap().is_none());
    assert!(world.store.search(look("a", world.admin())).await.unwrap().items.is_empty());
    let removed = Notice::Removed { file: one.file, serial: 2, hash: content("one").hash };
    assert_eq!(world.notices(holder).await, [removed]);
}

pub async fn near_sources_come_first(world: &World) {
    let alice = world.account("alice").await;
    let places = [("n1", "z1"), ("n2", "z1"), ("n3", "z2"), ("", ""), ("n4", "z2")];
    let mut peers = Vec::new();
    for (number, (node, zone)) in places.iter().enumerate() {
        peers.push(world.peer_at(alice, node, zone, &format!("10.0.0.{number}:7071")).await);
    }
    let one = world.published(peers[0], fresh("a", "one")).await;
    for peer in &peers {
        world.hold(*peer, one, Extent::All).await;
    }
    let leaving = Beat {
        writer: peers[4],
        state: PeerState::Leaving,
        room: 0,
        seen_ms: NOW,
        lease_ends_ms: LEASE,
    };
    world.store.beat(vec![leaving]).await.unwrap();
    let ask = async |node: &str, zone: &str, limit, now_ms| {
        let of = SourcesOf {
            file: one.file,
            version: 1,
            node: node.into(),
            zone: zone.into(),
            limit,
            now_ms,
        };
        let list = world.store.sources(of).await.unwrap();
        (list.sources.into_iter().map(|source| source.peer).collect::<Vec<_>>(), list.away)
    };
    let (near, away) = ask("n2", "z1", 50, NOW).await;
    assert_eq!((near.len(), near[0], near[1], away), (4, peers[1].peer, peers[0].peer, 1));
    assert_eq!(ask("", "z2", 1, NOW).await.0, [peers[2].peer]);
    assert_eq!(ask("", "", 2, NOW).await.0.len(), 2);
    assert_eq!(ask("n1", "", 50, LEASE).await, (Vec::new(), 5), "all leases have ended");
    let mut firsts = std::collections::BTreeSet::new();
    for _ in 0..40 {
        firsts.insert(ask("", "", 1, NOW).await.0[0]);
    }
    assert!(firsts.len() > 1, "the rest is a random draw");
}

pub async fn locating_gives_address_and_port(world: &World) {
    let alice = world.account("alice").await;
    let (v4, v6) = (
        world.peer_at(alice, "", "", "10.1.2.3:7071").await,
        world.peer_at(alice, "", "", "[fd00::1]:7199").await,
    );
    let one = world.published(v4, fresh("a", "one")).await;
    world.hold(v4, one, Extent::All).await;
    world.hold(v6, one, Extent::Part).await;
    let located = world.store.locate(&name("a"), member(alice), NOW).await.unwrap().unwrap();
    let mut shown: Vec<_> = located
        .peers
        .iter()
        .map(|peer| (peer.address.as_str(), peer.port, peer.complete))
        .collect();
    shown.sort_unstable();
    assert_eq!(shown, [("10.1.2.3", 7071, true), ("fd00::1", 7199, false)]);
    assert_eq!(located.file.sources, 1);
}
