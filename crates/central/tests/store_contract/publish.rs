use peral_central::store::{Refusal, files::FileKey, peers::Writer, publish::Publishing};
use peral_model::{FileId, Visibility};
use peral_wire::rest::{
    files::{KEPT_VERSIONS, Right},
    holdings::{Extent, VersionRef},
    peers::Notice,
};

use crate::support::*;

pub async fn a_free_name_becomes_a_file(world: &World) {
    let alice = world.account("alice").await;
    let peer = world.peer(alice).await;
    let envelope = world.publish(peer, private("dir/ünï.bin", "one")).await.unwrap();
    let found = world
        .store
        .find(FileKey::Name(name("dir/ünï.bin")), None, member(alice))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.envelope, envelope);
    let record = found.record;
    assert_eq!(
        (record.version, record.serial, record.owner, record.visibility),
        (1, 1, alice, Visibility::Private)
    );
    assert_eq!(
        (record.name.as_str(), record.content, record.published_ms),
        ("dir/ünï.bin", content("one"), NOW)
    );
    assert_eq!(envelope, format!("{record:?}").into_bytes(), "signed with what was decided inside");
}

pub async fn the_current_content_again_makes_no_version(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let (peer, other) = (world.peer(alice).await, world.peer(bob).await);
    let first = world.publish(peer, fresh("a", "one")).await.unwrap();
    let stale = VersionRef { file: FileId(uuid::Uuid::nil()), version: 3 };
    for (writer, version) in
        [(peer, fresh("a", "one")), (peer, after(stale, "a", "one")), (other, fresh("a", "one"))]
    {
        assert_eq!(world.publish(writer, version).await, Ok(first.clone()));
    }
    assert_eq!(world.current(&name("a")).await.version, 1);
}

/// I4: versions never go back.
pub async fn only_the_current_version_is_replaced(world: &World) {
    let peer = world.peer(world.account("alice").await).await;
    let one = world.published(peer, fresh("a", "one")).await;
    let two = world.published(peer, after(one, "a", "two")).await;
    assert_eq!(two, VersionRef { file: one.file, version: 2 });
    let other = VersionRef { file: FileId(uuid::Uuid::nil()), ..two };
    for version in [
        fresh("a", "three"),
        after(one, "a", "three"),
        after(other, "a", "three"),
        after(two, "new", "three"),
    ] {
        assert_eq!(world.publish(peer, version).await, Err(Refusal::VersionConflict));
    }
    assert_eq!(world.current(&name("a")).await, two);
    let old =
        world.store.find(FileKey::Id(one.file), Some(1), world.admin()).await.unwrap().unwrap();
    assert_eq!((old.record.version, old.record.content), (1, content("one")));
}

pub async fn names_of_others_are_taken(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let (peer, other) = (world.peer(alice).await, world.peer(bob).await);
    let open = world.published(peer, fresh("open", "one")).await;
    let hidden = world.published(peer, private("hidden", "one")).await;
    for version in [
        fresh("open", "x"),
        after(open, "open", "x"),
        fresh("hidden", "x"),
        after(hidden, "hidden", "x"),
        fresh("hidden", "one"),
    ] {
        assert_eq!(world.publish(other, version).await, Err(Refusal::NameTaken));
    }
    world.grant("hidden", alice, "bob", Right::Read).await;
    assert_eq!(world.publish(other, after(hidden, "hidden", "x")).await, Err(Refusal::NameTaken));
    assert!(
        world.publish(other, fresh("hidden", "one")).await.is_ok(),
        "the content that it may read anyway"
    );
}

pub async fn who_may_write_publishes_versions(world: &World) {
    let (alice, bob, carol) =
        (world.account("alice").await, world.account("bob").await, world.account("carol").await);
    let (peer, of_bob, of_carol) =
        (world.peer(alice).await, world.peer(bob).await, world.peer(carol).await);
    let one = world.published(peer, private("a", "one")).await;
    world.grant("a", alice, "bob", Right::Write).await;
    let two = world.published(of_bob, after(one, "a", "two")).await;
    let group = world.store.create_group("team").await.unwrap();
    world.store.add_member(group.id, carol).await.unwrap();
    assert_eq!(world.publish(of_carol, after(two, "a", "three")).await, Err(Refusal::NameTaken));
    world.grant("a", alice, "group:team", Right::Write).await;
    assert_eq!(
        world.publish(of_carol, after(one, "a", "three")).await,
        Err(Refusal::VersionConflict)
    );
    world.publish(of_carol, after(two, "a", "three")).await.unwrap();
    let found = world
        .store
        .find(FileKey::Name(name("a")), None, member(carol))
        .await
        .unwrap()
        .unwrap()
        .record;
    assert_eq!(
        (found.version, found.owner, found.visibility, found.serial),
        (3, alice, Visibility::Private, 3),
        "the file stays alice's"
    );
}

pub async fn ten_versions_are_kept(world: &World) {
    let alice = world.account("alice").await;
    let (peer, holder) = (world.peer(alice).await, world.peer(alice).await);
    let mut version = world.published(peer, fresh("a", "0")).await;
    world.hold(holder, version, Extent::All).await;
    for number in 1..KEPT_VERSIONS + 2 {
        version = world.published(peer, after(version, "a", &number.to_string())).await;
    }
    let kept = world.store.file(&name("a"), world.admin(), NOW).await.unwrap().unwrap().versions;
    let numbers: Vec<u64> = kept.iter().map(|version| version.version).collect();
    assert_eq!(numbers, (3..=KEPT_VERSIONS + 2).rev().collect::<Vec<_>>());
    assert!(
        world
            .store
            .find(FileKey::Hash(content("0").hash), None, world.admin())
            .await
            .unwrap()
            .is_none()
    );
    // The holder of a version that is no longer kept still hears of the file's end.
    assert!(world.store.notices(holder.peer, 0, NOW).await.unwrap().notices.is_empty());
    world.store.delete_file(&name("a"), member(alice), NOW).await.unwrap();
    let notices = world.store.notices(holder.peer, 0, NOW).await.unwrap().notices;
    assert!(
        matches!(&notices[..], [Notice::Removed { file, .. }] if *file == version.file),
        "{notices:?}"
    );
}

pub async fn a_removed_name_comes_back_only_as_a_new_file(world: &World) {
    let alice = world.account("alice").await;
    let peer = world.peer(alice).await;
    let one = world.published(peer, fresh("a", "one")).await;
    assert!(world.store.delete_file(&name("a"), member(alice), NOW).await.unwrap());
    for version in
        [fresh("a", "one"), after(one, "a", "one"), after(one, "a", "two"), after(one, "b", "two")]
    {
        assert_eq!(world.publish(peer, version).await, Err(Refusal::Removed));
    }
    let back = world.published(peer, fresh("a", "two")).await;
    assert!(back.file != one.file && back.version == 1, "other content is another file");
    assert_eq!(world.publish(peer, after(one, "a", "three")).await, Err(Refusal::Removed));
    let again = world.published(peer, after(back, "a", "one")).await;
    assert_eq!(
        again,
        VersionRef { file: back.file, version: 2 },
        "who knows the current version may go back to an old content"
    );
}

/// I1: an acknowledged publish is durable and findable.
pub async fn an_idempotency_key_gives_the_same_results(world: &World) {
    let alice = world.account("alice").await;
    let peer = world.peer(alice).await;
    let publish = |key: &str, versions, now_ms| {
        let publishing =
            Publishing { writer: peer, key: key.into(), versions, seal: seal(), now_ms };
        world.store.publish(publishing)
    };
    world.publish(peer, fresh("b", "old")).await.unwrap();
    let both = vec![fresh("a", "one"), fresh("b", "new")];
    let first = publish("k", both.clone(), NOW).await.unwrap();
    assert!(first[0].is_ok() && first[1] == Err(Refusal::VersionConflict));
    // In between, the refused one would go through.
    world.store.delete_file(&name("b"), member(alice), NOW).await.unwrap();
    assert_eq!(publish("k", both.clone(), NOW + 1000).await.unwrap(), first);
    assert_eq!(refused(publish("k", vec![fresh("a", "other")], NOW).await), Refusal::KeyReused);
    let at_once = (0..4).map(|_| publish("twice", vec![fresh("c", "one")], NOW));
    let results: Vec<_> = futures::future::join_all(at_once)
        .await
        .into_iter()
        .map(|result| result.unwrap())
        .collect();
    assert!(results.iter().all(|result| *result == results[0] && result[0].is_ok()));
    let day_later = publish("k", vec![fresh("d", "one")], NOW + 24 * 3_600_000).await.unwrap();
    assert!(day_later[0].is_ok(), "a day later the key is forgotten");
    world.store.delete_file(&name("c"), member(alice), NOW).await.unwrap();
    assert_eq!(
        publish("twice", vec![fresh("c", "one")], NOW).await.unwrap(),
        [Err(Refusal::Removed)]
    );
}

pub async fn a_name_twice_in_a_batch_is_two_versions(world: &World) {
    let peer = world.peer(world.account("alice").await).await;
    let results = world
        .publish_all(peer, vec![fresh("a", "one"), fresh("a", "one"), fresh("a", "two")])
        .await
        .unwrap();
    assert!(results[0].is_ok() && results[0] == results[1]);
    assert_eq!(results[2], Err(Refusal::VersionConflict));
    assert!(world.publish_all(peer, Vec::new()).await.unwrap().is_empty());
}

pub async fn two_publishes_of_a_name_at_once_make_one_file(world: &World) {
    let (alice, bob) = (world.account("alice").await, world.account("bob").await);
    let (one, two) = (world.peer(alice).await, world.peer(bob).await);
    for round in 0..10 {
        let text = format!("name {round}");
        let (first, second) = futures::join!(
            world.publish(one, fresh(&text, "alice")),
            world.publish(two, fresh(&text, "bob"))
        );
        assert_eq!(
            usize::from(first.is_ok()) + usize::from(second.is_ok()),
            1,
            "{first:?} {second:?}"
        );
        assert_eq!(first.err().or(second.err()), Some(Refusal::NameTaken));
        assert_eq!(world.current(&name(&text)).await.version, 1);
    }
}

/// I4: versions never go back.
pub async fn two_next_versions_at_once_make_one(world: &World) {
    let alice = world.account("alice").await;
    let (one, two) = (world.peer(alice).await, world.peer(alice).await);
    let mut version = world.published(one, fresh("a", "start")).await;
    for round in 0..10 {
        let (ours, theirs) = (format!("ours {round}"), format!("theirs {round}"));
        let (first, second) = futures::join!(
            world.publish(one, after(version, "a", &ours)),
            world.publish(two, after(version, "a", &theirs))
        );
        assert_eq!(
            usize::from(first.is_ok()) + usize::from(second.is_ok()),
            1,
            "{first:?} {second:?}"
        );
        assert_eq!(first.err().or(second.err()), Some(Refusal::VersionConflict));
        version = VersionRef { version: version.version + 1, ..version };
        assert_eq!(world.current(&name("a")).await, version);
    }
}

pub async fn batches_that_meet_in_any_order_succeed(world: &World) {
    let alice = world.account("alice").await;
    let peers = [world.peer(alice).await, world.peer(alice).await, world.peer(alice).await];
    let names: Vec<String> = (0..60).map(|number| format!("n{number}")).collect();
    let batch = |turn: usize| {
        let mut versions: Vec<_> = names.iter().map(|name| fresh(name, "same")).collect();
        if turn % 2 == 1 {
            versions.reverse();
        } else {
            versions.rotate_left(turn * 7);
        }
        versions
    };
    let calls = peers.iter().enumerate().map(|(turn, peer)| world.publish_all(*peer, batch(turn)));
    for results in futures::future::join_all(calls).await {
        assert!(results.unwrap().iter().all(Result::is_ok));
    }
}

/// I6: one live owner of a peer id.
pub async fn a_superseded_process_publishes_nothing(world: &World) {
    let alice = world.account("alice").await;
    let token = world.join_token(alice, 1).await;
    let first = world.store.register(world.registering(b"k", Some(token))).await.unwrap();
    world.store.register(world.registering(b"k", None)).await.unwrap();
    for epoch in [first.epoch, 3, u64::MAX] {
        let stale = Writer { peer: first.peer, epoch };
        assert_eq!(
            refused(world.publish_all(stale, vec![fresh("a", "one")]).await),
            Refusal::StaleEpoch
        );
    }
    assert!(world.store.file(&name("a"), world.admin(), NOW).await.unwrap().is_none());
}

pub async fn a_thousand_versions_in_one_call(world: &World) {
    let peer = world.peer(world.account("alice").await).await;
    let versions: Vec<_> =
        (0..1000).map(|number| fresh(&format!("d/{number:04}"), &number.to_string())).collect();
    let results = world.publish_all(peer, versions.clone()).await.unwrap();
    assert!(results.iter().all(Result::is_ok));
    let current = world.current(&name("d/0500")).await;
    let next: Vec<_> = versions
        .iter()
        .map(|version| {
            if version.name == name("d/0500") {
                after(current, "d/0500", "x")
            } else {
                version.clone()
            }
        })
        .collect();
    let again = world.publish_all(peer, next).await.unwrap();
    let changed = again.iter().zip(&results).filter(|(now, before)| now != before).count();
    assert_eq!(changed, 1);
}
