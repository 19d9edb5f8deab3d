//! Shares: what is found in them, and where they may be.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use peral_model::{ContentId, Visibility};
use peral_peer::{ConfiguredShare, Indexed};
use peral_runtime::{Clock, MockClock};
use peral_testkit::{files::write_at, identity::now_ms, until};
use peral_transfer::Stamp;
use peral_wire::ErrorCode;

use crate::world::{world, world_at};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_found_where_they_are_and_again_when_they_change() {
    let world = world(Visibility::Public).await;
    let one = world.write("a/one", b"one");
    world.write("two", b"");
    world.write(".hidden", b"no");
    world.until_pending(&[("p/a/one", b"one"), ("p/two", b"")]).await;
    world.write("a/one", b"other");
    world.until_pending(&[("p/a/one", b"other"), ("p/two", b"")]).await;
    fs::rename(&one, world.share.join("moved")).unwrap();
    world.until_pending(&[("p/moved", b"other"), ("p/two", b"")]).await;
    fs::remove_dir_all(world.share.join("a")).unwrap();
    fs::remove_file(world.share.join("two")).unwrap();
    world.until_pending(&[("p/moved", b"other")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_being_written_waits_until_it_is_left_alone() {
    let clock = Arc::new(MockClock::new(now_ms()));
    let world = world_at(Visibility::Public, clock.clone()).await;
    let path = world.share.join("growing");
    // As if somebody wrote on: by the peer's clock it is always half a second old.
    let written = UNIX_EPOCH + Duration::from_millis(clock.now_ms().unsigned_abs() - 500);
    let mut others = Vec::new();
    for round in 0..5 {
        write_at(&path, &b"more ".repeat(round + 1), written);
        // Once the indexer has taken one that came later, it has seen this one too.
        world.write(&format!("later-{round}"), b"left alone");
        others.push((format!("p/later-{round}"), ContentId::of(b"left alone").to_vec()));
        until("the later one is indexed", async || {
            let pending = world.pending().await;
            assert!(pending.iter().all(|(name, _)| name != "p/growing"), "half a file was indexed");
            if pending == others { Ok(()) } else { Err(pending) }
        })
        .await;
    }
    clock.advance(Duration::from_secs(2));
    let bytes = fs::read(&path).unwrap();
    others.insert(0, ("p/growing".into(), ContentId::of(&bytes).to_vec()));
    until("it is indexed", async || {
        let pending = world.pending().await;
        if pending == others { Ok(()) } else { Err(pending) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_and_the_data_folder_stay_apart() {
    let world = world(Visibility::Public).await;
    let data = world.library.data().root().to_owned();
    let inside = world.share.join("inside");
    let around = world.share.parent().unwrap().to_owned();
    fs::create_dir(&inside).unwrap();
    std::os::unix::fs::symlink(data.join("lists"), around.join("innocent")).unwrap();
    for path in [
        data.clone(),
        data.join("lists"),
        around.clone(),
        inside,
        around.join("innocent"),
        "/proc".into(),
    ] {
        let refused = world.library.share(&path, "", Visibility::Public).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidArgument, "{}", path.display());
    }
    assert_eq!(
        world
            .library
            .share(&around.join("more"), "../x", Visibility::Public)
            .await
            .unwrap_err()
            .code,
        ErrorCode::InvalidName
    );
    world.write("file", b"x");
    world.until_pending(&[("p/file", b"x")]).await;
    // Another prefix: all names change.
    world.library.share(&world.share, "q", Visibility::Public).await.unwrap();
    world.until_pending(&[("q/file", b"x")]).await;
    world.library.unshare(&world.share).await.unwrap();
    world.until_pending(&[]).await;
    assert!(world.share.join("file").exists());
}

/// What a walk found under the old prefix is not written once the share has another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_that_is_overtaken_by_another_prefix_writes_nothing() {
    let world = world(Visibility::Public).await;
    let path = world.write("file", b"x");
    world.until_pending(&[("p/file", b"x")]).await;
    let before = world.library.shares().await.unwrap().remove(0);
    world.stop.cancel();
    let after = world.library.share(&world.share, "q", Visibility::Public).await.unwrap();
    assert_ne!(before.number, after.number, "numbers are not used again");
    let late = |share: i64, name: &str| Indexed {
        path: path.to_str().unwrap().into(),
        share,
        name: name.into(),
        stamp: Stamp::from_metadata(&fs::metadata(&path).unwrap()),
        hash: ContentId::of(b"x"),
    };
    world.library.db().index(vec![late(before.number, "p/file")], 1).await.unwrap();
    assert_eq!(world.pending().await, []);
    world.library.db().index(vec![late(after.number, "q/file")], 1).await.unwrap();
    world.until_pending(&[("q/file", b"x")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_of_the_command_line_go_with_it_and_others_stay() {
    let world = world(Visibility::Public).await;
    let named = |name: &str| ConfiguredShare {
        path: world.share.with_file_name(name),
        prefix: String::new(),
        visibility: Visibility::Public,
    };
    let shared = async || -> Vec<String> {
        let shares = world.library.shares().await.unwrap();
        shares
            .iter()
            .map(|share| Path::new(&share.path).file_name().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    world.library.configure(&[named("a"), named("b")]).await.unwrap();
    assert_eq!(shared().await, ["share", "a", "b"]);
    world.library.configure(&[named("b")]).await.unwrap();
    assert_eq!(shared().await, ["share", "b"]);
    world.library.configure(&[]).await.unwrap();
    assert_eq!(shared().await, ["share"]);
}
