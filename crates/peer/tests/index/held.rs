//! What is held: by whom it may be published, and when it is given up.

use std::{fs, sync::Arc, time::Duration};

use peral_model::{AccountId, FileId, FileName, Visibility};
use peral_peer::Withdraw;
use peral_testkit::{files::write_dated, until};
use peral_wire::{
    ErrorCode,
    rest::{holdings::Extent, peers::Notice},
};
use uuid::Uuid;

use crate::world::{OWNER, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_is_held_and_never_published_under_another_name() {
    let world = world(Visibility::Public).await;
    // As fresh as a download is: the indexer waits before it looks at it.
    let path = write_dated(&world.share.join("copy"), b"from afar", Duration::ZERO);
    let record = world.record(
        "far/file",
        7,
        2,
        b"from afar",
        Visibility::Public,
        AccountId(Uuid::from_u128(9)),
    );
    world.adopt(record.clone(), &path).await;
    let held = world.library.find(record.value.file, 2).await.unwrap().unwrap();
    assert!(held.fetched && held.path == path && held.open().is_ok());
    assert_eq!(world.deltas().await, [(2, Extent::All)]);
    // The user copies it: the same bytes under a name of the share.
    world.write("again", b"from afar");
    let row = world.until_some_pending().await;
    assert!(row.name == "p/again" && row.was_fetched);
    // Its own name is another matter: it is the current version.
    let own = world.write("own", b"mine to fetch");
    world
        .adopt(world.record("p/own", 8, 1, b"mine to fetch", Visibility::Public, OWNER), &own)
        .await;
    assert_eq!(
        world
            .library
            .db()
            .last_had(&FileName::new("p/own").unwrap())
            .await
            .unwrap()
            .map(|had| had.version),
        Some(1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_for_a_private_file_is_marked() {
    for (visibility, owner, of_others, of_other_owners) in [
        (Visibility::Public, OWNER, 1, 0),
        (Visibility::Private, AccountId(Uuid::from_u128(9)), 1, 1),
    ] {
        let world = world(visibility).await;
        let secret = world.write("secret", b"secret");
        world.until_pending(&[("p/secret", b"secret")]).await;
        // As an upload of a private file does it: in place, not fetched.
        world
            .adopt(world.record("p/secret", 7, 1, b"secret", Visibility::Private, owner), &secret)
            .await;
        world.write("leak", b"secret");
        let row = world.until_some_pending().await;
        assert_eq!(
            (row.name.as_str(), row.private_of_others, row.private_of_other_owners),
            ("p/leak", of_others, of_other_owners)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_a_touch_and_a_loss_of_what_is_held() {
    let world = world(Visibility::Public).await;
    let path = world.write("file", b"version one");
    let record = world.record("p/file", 7, 1, b"version one", Visibility::Public, OWNER);
    world.adopt(record.clone(), &path).await;
    // Touched: another time, the same bytes. Nothing to tell.
    write_dated(&path, b"version one", Duration::from_secs(30));
    let file = record.value.file;
    until("the touched file is held", async || {
        world.library.find(file, 1).await.unwrap().filter(|held| held.open().is_ok())
    })
    .await;
    assert_eq!(world.deltas().await, [(1, Extent::All)]);
    // Edited: withdrawn, and to be published in place of the version before.
    world.write("file", b"version two");
    world.until_pending(&[("p/file", b"version two")]).await;
    assert_eq!(world.deltas().await, [(1, Extent::All), (1, Extent::None)]);
    let row = world.library.db().pending(0, OWNER.0, 10).await.unwrap().remove(0);
    assert_eq!((row.had_file, row.had_version), (Some(file.0), Some(1)));
    assert!(world.library.find(file, 1).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_between_two_looks_is_refused_at_the_open_file() {
    let world = world(Visibility::Public).await;
    world.stop.cancel();
    let path = world.write("file", b"content");
    let record = world.record("p/file", 7, 1, b"content", Visibility::Public, OWNER);
    world.adopt(record.clone(), &path).await;
    let held = world.library.find(record.value.file, 1).await.unwrap().unwrap();
    let open = held.open().unwrap();
    assert!(open.check().is_ok());
    fs::write(&path, b"CONTENT").unwrap();
    assert_eq!(open.check().unwrap_err().code, ErrorCode::Changed);
    assert_eq!(held.open().unwrap_err().code, ErrorCode::Changed);
    assert!(
        !held.open().unwrap_err().detail.contains(path.to_str().unwrap()),
        "no path leaves this machine"
    );
    world.library.withdraw(&held, Withdraw::Changed).await.unwrap();
    assert!(world.library.find(record.value.file, 1).await.unwrap().is_none());
    // A second notice of the same thing changes nothing.
    world.library.withdraw(&held, Withdraw::Changed).await.unwrap();
    assert_eq!(world.deltas().await, [(1, Extent::All), (1, Extent::None)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_name_takes_cached_copies_and_leaves_what_users_shared() {
    let world = world(Visibility::Public).await;
    let shared = world.write("shared", b"mine");
    world.until_pending(&[("p/shared", b"mine")]).await;
    let (mine, theirs) = (
        world.record("p/shared", 7, 1, b"mine", Visibility::Public, OWNER),
        world.record("x", 8, 1, b"cached", Visibility::Public, OWNER),
    );
    world.adopt(mine.clone(), &shared).await;
    let cached = world.write("cached", b"cached");
    world.adopt(theirs.clone(), &cached).await;
    let outside = world.share.with_file_name("download");
    fs::write(&outside, b"cached").unwrap();
    world.adopt(theirs.clone(), &outside).await;
    for record in [&mine, &theirs] {
        let value = &record.value;
        world
            .library
            .obey(&Notice::Removed { file: value.file, serial: 2, hash: value.content.hash })
            .await
            .unwrap();
        assert!(world.library.find(value.file, 1).await.unwrap().is_none());
    }
    assert!(shared.exists() && !cached.exists());
    assert!(outside.exists(), "what a user asked for by path is the user's");
    let troubles = world.library.db().troubles(10).await.unwrap();
    assert_eq!(
        troubles.iter().map(|row| (row.name.as_str(), row.code.as_deref())).collect::<Vec<_>>(),
        [("p/shared", Some("REMOVED"))]
    );
    let mut deltas = world.deltas().await;
    deltas.sort_by_key(|(_, held)| *held == Extent::None);
    assert_eq!(deltas, [(1, Extent::All), (1, Extent::All), (1, Extent::None), (1, Extent::None)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_in_byte_order_and_paged() {
    let world = world(Visibility::Public).await;
    for (id, name) in ["b", "a/2", "a/10", "a-", "ä", "A"].into_iter().enumerate() {
        let path = world.write(&format!("f{id}"), name.as_bytes());
        world
            .adopt(
                world.record(name, id as u128 + 10, 1, name.as_bytes(), Visibility::Public, OWNER),
                &path,
            )
            .await;
    }
    let names = async |prefix, after, limit| -> Vec<String> {
        world
            .library
            .list(prefix, after, limit)
            .await
            .unwrap()
            .iter()
            .map(|held| held.record.value.name.to_string())
            .collect()
    };
    assert_eq!(names("", "", 100).await, ["A", "a-", "a/10", "a/2", "b", "ä"]);
    assert_eq!(names("", "a-", 2).await, ["a/10", "a/2"]);
    assert_eq!(names("a/", "", 100).await, ["a/10", "a/2"]);
    assert!(names("a%", "", 100).await.is_empty());
    let found = world.library.find_name(&FileName::new("ä").unwrap()).await.unwrap().unwrap();
    assert_eq!(found.record.value.name.as_str(), "ä");
    let row = Arc::new(found);
    assert!(row.open().is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_longer_needed_is_tidied_and_the_serial_stays() {
    let world = world(Visibility::Public).await;
    let path = world.write("file", b"one");
    let file = FileId(Uuid::from_u128(7));
    for version in 1..=3 {
        let bytes = format!("version {version}");
        world.write("file", bytes.as_bytes());
        world
            .adopt(
                world.record("p/file", 7, version, bytes.as_bytes(), Visibility::Public, OWNER),
                &path,
            )
            .await;
    }
    world.library.rights().learn(file, 9).await.unwrap();
    world.library.tidy().await.unwrap();
    let db = world.library.db();
    assert!(
        db.record(file, 1).await.unwrap().is_none() && db.record(file, 3).await.unwrap().is_some()
    );
    fs::remove_file(&path).unwrap();
    until("the file is gone", async || world.library.find(file, 3).await.unwrap().is_none()).await;
    world.library.tidy().await.unwrap();
    assert_eq!(db.serial(file).await.unwrap(), 9);
    assert!(
        db.last_had(&FileName::new("p/file").unwrap()).await.unwrap().is_some(),
        "what the next publish replaces"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_central_keeps_no_longer_leaves_the_data_folder() {
    let world = world(Visibility::Public).await;
    let record = |version| world.record("x", 7, version, b"x", Visibility::Public, OWNER);
    let paths = [1, 2].map(|version: u64| world.library.data().kept().join(version.to_string()));
    for (path, version) in paths.iter().zip(1..) {
        fs::write(path, b"x").unwrap();
        world.adopt(record(version), path).await;
    }
    let notice = Notice::Changed {
        file: FileId(Uuid::from_u128(7)),
        serial: 2,
        records: vec![record(2).to_text()],
    };
    world.library.obey(&notice).await.unwrap();
    assert!(!paths[0].exists() && paths[1].exists());
}
