use std::collections::BTreeSet;

use peral_central::store::{files::FileSearch, notices::MAX_NOTICES, peers::Writer};
use peral_wire::rest::{
    holdings::{Delta, Deltas, Extent, VersionRef},
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

/// Publishes files with these numbers as names, and gives them in the order of their names.
async fn many_files(world: &World, peer: Writer, total: usize) -> Vec<VersionRef> {
    let numbers: Vec<usize> = (0..total).collect();
    for part in numbers.chunks(1000) {
        let version = |number: &usize| fresh(&format!("{number:05}"), &number.to_string());
        world.publish_all(peer, part.iter().map(version).collect()).await.unwrap();
    }
    let mut files = Vec::new();
    let mut after = None;
    loop {
        let page = FileSearch { after, ..look("", world.admin()) };
        let page = world.store.search(page).await.unwrap();
        files.extend(page.items.iter().map(|file| VersionRef { file: file.id, version: 1 }));
        after = page.next;
        if after.is_none() {
            return files;
        }
    }
}

pub async fn long_lists_come_in_parts(world: &World) {
    let alice = world.account("alice").await;
    let peer = world.peer(alice).await;
    let total = MAX_NOTICES as usize + 50;
    let files = many_files(world, peer, total).await;
    assert_eq!(files.len(), total);
    let delta = |version: &VersionRef| Delta { version: *version, held: Extent::All };
    for (number, part) in files.chunks(1000).enumerate() {
        let first = number as u64 * 1000 + 1;
        let deltas = Deltas { first, deltas: part.iter().map(delta).collect() };
        world.store.apply_deltas(peer, deltas, NOW).await.unwrap();
    }
    for number in 0..total {
        let name = name(&format!("{number:05}"));
        assert!(world.store.delete_file(&name, member(alice), NOW).await.unwrap());
    }
    let first = world.store.notices(peer.peer, 0, NOW).await.unwrap();
    assert_eq!(first.notices.len(), MAX_NOTICES as usize);
    let rest = world.store.notices(peer.peer, first.obeyed, NOW).await.unwrap();
    assert_eq!(rest.notices.len(), 50);
    let all = first.notices.iter().chain(&rest.notices);
    let distinct: BTreeSet<String> = all.map(|notice| format!("{notice:?}")).collect();
    assert_eq!(distinct.len(), total);
    assert!(matches!(rest.notices[49], Notice::Removed { .. }));
}
