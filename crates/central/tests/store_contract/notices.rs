use peral_central::store::notices::MAX_NOTICES;
use peral_wire::rest::{
    holdings::{Delta, Deltas, Held, VersionRef},
    peers::Notice,
};

use crate::support::*;

pub async fn numbers_go_up_and_nothing_comes_twice(world: &World) {
    let alice = world.account("alice").await;
    let peer = world.peer(alice).await;
    let mut obeyed = world.store.notices(peer.peer, 0, NOW).await.unwrap().obeyed;
    for round in 0..5 {
        let (one, two) =
            (world.session(alice, "s", NOW).await, world.session(alice, "t", NOW).await);
        let (first, second) = futures::join!(
            world.store.end_session(one, None, NOW),
            world.store.end_session(two, None, NOW)
        );
        assert!(first.unwrap() && second.unwrap());
        let news = world.store.notices(peer.peer, obeyed, NOW).await.unwrap();
        assert_eq!((news.notices.len(), news.obeyed), (2, obeyed + 2), "round {round}");
        obeyed = news.obeyed;
    }
    let none = world.store.notices(peer.peer, obeyed, NOW).await.unwrap();
    assert_eq!((none.notices.len(), none.obeyed), (0, obeyed));
    // The database was restored from a backup: the peer hears everything again.
    let restored = world.store.notices(peer.peer, obeyed + 100, NOW).await.unwrap();
    assert_eq!((restored.notices.len(), restored.obeyed), (10, obeyed));
}

pub async fn long_lists_come_in_parts(world: &World) {
    let alice = world.account("alice").await;
    let peer = world.peer(alice).await;
    let total = MAX_NOTICES as usize + 50;
    let mut rows = Vec::new();
    for part in (0..total).collect::<Vec<_>>().chunks(1000) {
        let versions =
            part.iter().map(|number| fresh(&format!("{number:05}"), &number.to_string())).collect();
        world.publish_all(peer, versions).await.unwrap();
    }
    let listed = world.store.search(look("", world.admin())).await.unwrap();
    let more = world
        .store
        .search(peral_central::store::files::FileSearch {
            after: listed.next,
            ..look("", world.admin())
        })
        .await
        .unwrap();
    for file in listed.items.iter().chain(&more.items) {
        rows.push(Delta { version: VersionRef { file: file.id, version: 1 }, held: Held::All });
    }
    assert_eq!(rows.len(), total);
    for (number, part) in rows.chunks(1000).enumerate() {
        world
            .store
            .apply_deltas(
                peer,
                Deltas { first: number as u64 * 1000 + 1, deltas: part.to_vec() },
                NOW,
            )
            .await
            .unwrap();
    }
    for number in 0..total {
        assert!(
            world
                .store
                .remove_file(&name(&format!("{number:05}")), member(alice), NOW)
                .await
                .unwrap()
        );
    }
    let first = world.store.notices(peer.peer, 0, NOW).await.unwrap();
    assert_eq!(first.notices.len(), MAX_NOTICES as usize);
    let rest = world.store.notices(peer.peer, first.obeyed, NOW).await.unwrap();
    assert_eq!(rest.notices.len(), 50);
    let hashes: std::collections::BTreeSet<_> =
        first.notices.iter().chain(&rest.notices).map(|notice| format!("{notice:?}")).collect();
    assert_eq!(hashes.len(), total);
    assert!(matches!(rest.notices[49], Notice::Removed { .. }));
}
