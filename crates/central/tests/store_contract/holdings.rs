use peral_central::store::{
    Refusal,
    files::SourcesOf,
    peers::{Registering, Writer},
};
use peral_model::{FileId, Visibility};
use peral_wire::rest::{
    files::FileChange,
    holdings::{BUCKETS, Bucket, Delta, Deltas, Extent, VersionRef, row_hash},
    peers::Notice,
};

use crate::support::*;

fn deltas(first: u64, rows: &[(VersionRef, Extent)]) -> Deltas {
    Deltas {
        first,
        deltas: rows
            .iter()
            .map(|(version, held)| Delta { version: *version, held: *held })
            .collect(),
    }
}

fn digest(rows: &[(VersionRef, Extent)]) -> Vec<u64> {
    let mut words = vec![0; BUCKETS];
    for (version, held) in rows {
        let (bucket, hash) = row_hash(&Delta { version: *version, held: *held });
        words[usize::from(bucket)] ^= hash;
    }
    words
}

fn bucket_of(version: VersionRef) -> u16 {
    row_hash(&Delta { version, held: Extent::All }).0
}

async fn sources(world: &World, version: VersionRef) -> Vec<bool> {
    let of = SourcesOf {
        file: version.file,
        version: version.version,
        node: String::new(),
        zone: String::new(),
        limit: 50,
        now_ms: NOW,
    };
    world.store.sources(of).await.unwrap().sources.iter().map(|source| source.complete).collect()
}

pub async fn deltas_apply_without_gaps_and_once(world: &World) {
    let peer = world.peer(world.account("alice").await).await;
    let (a, b) = (
        world.published(peer, fresh("a", "1")).await,
        world.published(peer, fresh("b", "2")).await,
    );
    let gap = world.store.apply_deltas(peer, deltas(2, &[(a, Extent::All)]), NOW).await;
    assert_eq!(refused(gap), Refusal::IndexGap { last_delta: 0 });
    assert!(sources(world, a).await.is_empty());
    assert_eq!(
        world
            .store
            .apply_deltas(
                peer,
                deltas(1, &[(a, Extent::Part), (b, Extent::All), (b, Extent::Part)]),
                NOW
            )
            .await
            .unwrap(),
        3
    );
    assert_eq!(
        (sources(world, a).await, sources(world, b).await),
        (vec![false], vec![false]),
        "the last word on a version counts"
    );
    // Numbers 1 to 3 come again, with 4 and 5 behind them.
    let again = [
        (a, Extent::None),
        (b, Extent::None),
        (b, Extent::None),
        (a, Extent::All),
        (b, Extent::None),
    ];
    assert_eq!(world.store.apply_deltas(peer, deltas(1, &again), NOW).await.unwrap(), 5);
    assert_eq!((sources(world, a).await, sources(world, b).await), (vec![true], vec![]));
    assert_eq!(
        world.store.apply_deltas(peer, deltas(3, &[(a, Extent::None)]), NOW).await.unwrap(),
        5
    );
    assert_eq!(sources(world, a).await, [true]);
    let overflow =
        world.store.apply_deltas(peer, deltas(u64::MAX, &[(a, Extent::None)]), NOW).await;
    assert_eq!(refused(overflow), Refusal::IndexGap { last_delta: 5 });
}

pub async fn what_is_not_in_the_catalogue_is_passed_over(world: &World) {
    let peer = world.peer(world.account("alice").await).await;
    let a = world.published(peer, fresh("a", "1")).await;
    let unknown = VersionRef { file: FileId(uuid::Uuid::from_u128(5)), version: 1 };
    let future = VersionRef { version: u64::MAX, ..a };
    let rows =
        [(unknown, Extent::All), (future, Extent::All), (a, Extent::All), (unknown, Extent::None)];
    assert_eq!(world.store.apply_deltas(peer, deltas(1, &rows), NOW).await.unwrap(), 4);
    assert_eq!(sources(world, a).await, [true]);
    assert!(
        world.store.compare_digest(peer, 4, digest(&[(a, Extent::All)])).await.unwrap().is_empty()
    );
}

/// I6: one live owner of a peer id.
pub async fn a_stale_epoch_changes_nothing(world: &World) {
    let alice = world.account("alice").await;
    let token = world.join_token(alice, 1).await;
    let first = world.store.register(world.registering(b"k", Some(token))).await.unwrap();
    let old = Writer { peer: first.peer, epoch: 1 };
    let a = world.published(old, fresh("a", "1")).await;
    let again =
        world.store.register(Registering { ..world.registering(b"k", None) }).await.unwrap();
    assert_eq!(
        refused(world.store.apply_deltas(old, deltas(1, &[(a, Extent::All)]), NOW).await),
        Refusal::StaleEpoch
    );
    assert_eq!(refused(world.store.compare_digest(old, 9, digest(&[])).await), Refusal::StaleEpoch);
    let bucket = Bucket {
        last_delta: 9,
        bucket: bucket_of(a),
        replace: true,
        rows: vec![Delta { version: a, held: Extent::All }],
    };
    assert_eq!(refused(world.store.replace_bucket(old, bucket, NOW).await), Refusal::StaleEpoch);
    assert!(sources(world, a).await.is_empty());
    assert_eq!(world.store.peer(first.peer).await.unwrap().unwrap().last_delta, 0);
    world.hold(Writer { peer: again.peer, epoch: again.epoch }, a, Extent::All).await;
    assert_eq!(sources(world, a).await, [true]);
}

pub async fn a_digest_finds_what_differs(world: &World) {
    let peer = world.peer(world.account("alice").await).await;
    let (a, b) = (
        world.published(peer, fresh("a", "1")).await,
        world.published(peer, fresh("b", "2")).await,
    );
    world
        .store
        .apply_deltas(peer, deltas(1, &[(a, Extent::All), (b, Extent::Part)]), NOW)
        .await
        .unwrap();
    assert!(
        world
            .store
            .compare_digest(peer, 2, digest(&[(a, Extent::All), (b, Extent::Part)]))
            .await
            .unwrap()
            .is_empty()
    );
    let mut expected = vec![bucket_of(a), bucket_of(b)];
    expected.sort_unstable();
    assert_eq!(world.store.compare_digest(peer, 40, digest(&[])).await.unwrap(), expected);
    assert_eq!(
        world
            .store
            .compare_digest(peer, 40, digest(&[(a, Extent::All), (b, Extent::All)]))
            .await
            .unwrap(),
        [bucket_of(b)]
    );
    assert_eq!(
        world.store.peer(peer.peer).await.unwrap().unwrap().last_delta,
        2,
        "not agreed, so no new number"
    );
    world
        .store
        .compare_digest(peer, 40, digest(&[(a, Extent::All), (b, Extent::Part)]))
        .await
        .unwrap();
    assert_eq!(world.store.peer(peer.peer).await.unwrap().unwrap().last_delta, 40);
    assert_eq!(
        world.store.compare_digest(peer, 40, Vec::new()).await.unwrap().len(),
        BUCKETS,
        "no words at all"
    );
}

pub async fn a_bucket_is_replaced(world: &World) {
    let peer = world.peer(world.account("alice").await).await;
    let (a, b) = (
        world.published(peer, fresh("a", "1")).await,
        world.published(peer, fresh("b", "2")).await,
    );
    world.store.apply_deltas(peer, deltas(1, &[(a, Extent::All)]), NOW).await.unwrap();
    let rows = vec![Delta { version: b, held: Extent::All }];
    let bucket = |number, replace, rows| Bucket { last_delta: 12, bucket: number, replace, rows };
    assert_eq!(
        world
            .store
            .replace_bucket(peer, bucket(bucket_of(a), true, Vec::new()), NOW)
            .await
            .unwrap(),
        12
    );
    assert!(sources(world, a).await.is_empty());
    if bucket_of(a) != bucket_of(b) {
        world
            .store
            .replace_bucket(peer, bucket(bucket_of(a), true, rows.clone()), NOW)
            .await
            .unwrap();
        assert!(sources(world, b).await.is_empty(), "a row of another bucket is passed over");
    }
    world.store.replace_bucket(peer, bucket(bucket_of(b), true, rows), NOW).await.unwrap();
    world.store.replace_bucket(peer, bucket(bucket_of(b), false, Vec::new()), NOW).await.unwrap();
    assert_eq!(sources(world, b).await, [true]);
    assert_eq!(
        world.store.apply_deltas(peer, deltas(13, &[(b, Extent::None)]), NOW).await.unwrap(),
        13
    );
}

pub async fn reports_of_removed_or_changed_files_get_a_notice(world: &World) {
    let alice = world.account("alice").await;
    let (owner, late) = (world.peer(alice).await, world.peer(alice).await);
    let (gone, changed) = (
        world.published(owner, fresh("gone", "1")).await,
        world.published(owner, fresh("changed", "2")).await,
    );
    world.store.delete_file(&name("gone"), member(alice), NOW).await.unwrap();
    let private = FileChange { visibility: Some(Visibility::Private), ..FileChange::default() };
    world
        .store
        .change_file(&name("changed"), member(alice), private, seal(), NOW)
        .await
        .unwrap()
        .unwrap();
    assert!(world.store.notices(late.peer, 0, NOW).await.unwrap().notices.is_empty());
    // It fetched both before, and says so only now.
    world
        .store
        .apply_deltas(late, deltas(1, &[(gone, Extent::All), (changed, Extent::All)]), NOW)
        .await
        .unwrap();
    let notices = world.store.notices(late.peer, 0, NOW).await.unwrap();
    let removed =
        |notice: &Notice| matches!(notice, Notice::Removed { file, .. } if *file == gone.file);
    let signed_again = |notice: &Notice| matches!(notice, Notice::Changed { file, serial: 2, .. } if *file == changed.file);
    let told = &notices.notices;
    assert!(
        told.len() == 2 && told.iter().any(removed) && told.iter().any(signed_again),
        "{notices:?}"
    );
    // What it holds already is no news.
    world.store.apply_deltas(late, deltas(3, &[(changed, Extent::Part)]), NOW).await.unwrap();
    assert!(world.store.notices(late.peer, notices.obeyed, NOW).await.unwrap().notices.is_empty());
}

pub async fn a_file_without_holders_keeps_when_it_was_seen(world: &World) {
    let peer = world.peer(world.account("alice").await).await;
    let a = world.published(peer, fresh("a", "1")).await;
    let file = async |now_ms| {
        world.store.file(&name("a"), world.admin(), now_ms).await.unwrap().unwrap().file
    };
    assert_eq!((file(NOW).await.sources, file(NOW).await.last_seen_ms), (0, None));
    world.hold(peer, a, Extent::All).await;
    assert_eq!((file(NOW).await.sources, file(NOW).await.last_seen_ms), (1, Some(NOW)));
    assert_eq!(file(LEASE).await.sources, 0, "its lease has ended");
    world.store.apply_deltas(peer, deltas(2, &[(a, Extent::None)]), NOW + 500).await.unwrap();
    assert_eq!((file(NOW).await.sources, file(NOW).await.last_seen_ms), (0, Some(NOW + 500)));
}
