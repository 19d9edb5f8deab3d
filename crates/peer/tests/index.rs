//! The indexer on real folders: what it takes in, what it leaves alone, what it notices.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use peral_model::{
    AccountId, Content, ContentId, FileId, FileName, NetworkId, PeerId, Record, Visibility,
};
use peral_peer::{
    ConfiguredShare, DataDir, Db, FinishedDownload, Indexed, Indexer, Library, Link,
    RegisteredPeer, Rights, Withdraw,
};
use peral_runtime::{SharedClock, SystemClock};
use peral_transfer::Stamp;
use peral_wire::{
    ErrorCode, Sealed,
    keys::{Jwks, KeyUse, SigningKey, Verifier},
    rest::holdings::Held,
    rest::peers::Notice,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const OWNER: AccountId = AccountId(Uuid::from_u128(200));

struct World {
    library: Library,
    key: SigningKey,
    share: PathBuf,
    stop: CancellationToken,
    clock: SharedClock,
    _folder: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn key() -> SigningKey {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    SigningKey::from_pkcs8(&pair.serialize_der(), KeyUse::Record).unwrap()
}

/// A peer with one share, whose indexer runs but whose central is nowhere.
async fn world(visibility: Visibility) -> World {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let data = DataDir::open(&root.join("data")).unwrap();
    let db = Db::open(&data.file("peer.db")).await.unwrap();
    let (clock, key) = (SystemClock::shared(), key());
    let link = Link::new("https://central", clock.clone());
    link.set_registration(RegisteredPeer {
        peer: PeerId(Uuid::from_u128(1)),
        epoch: 1,
        account: OWNER,
        network: NetworkId(Uuid::from_u128(1)),
    });
    let verifier = Verifier::new(&Jwks { keys: vec![key.public()] }, KeyUse::Record);
    let rights = Rights::open(db.clone(), clock.clone(), link.clone(), verifier).await.unwrap();
    let library = Library::new(data, db, rights, link, clock.clone()).unwrap();
    let share = root.join("share");
    library.share(&share, "p", visibility).await.unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(Indexer::new(library.clone(), Duration::from_millis(500)).run(stop.clone()));
    World { library, key, share, stop, clock, _folder: folder }
}

impl World {
    /// Writes a file that looks as if it had been left alone for a while.
    fn write(&self, below: &str, bytes: &[u8]) -> PathBuf {
        self.write_at(below, bytes, 60)
    }

    fn write_at(&self, below: &str, bytes: &[u8], seconds_ago: u64) -> PathBuf {
        let path = self.share.join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let temp = path.with_file_name(".new");
        fs::write(&temp, bytes).unwrap();
        let time =
            fs::metadata(&temp).unwrap().modified().unwrap() - Duration::from_secs(seconds_ago);
        fs::File::options().write(true).open(&temp).unwrap().set_modified(time).unwrap();
        fs::rename(&temp, &path).unwrap();
        path
    }

    async fn until<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        check: impl Fn() -> F,
    ) -> T {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(found) = check().await {
                return found;
            }
            assert!(Instant::now() < end, "{what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Names that wait to be published, with their contents.
    async fn pending(&self) -> Vec<(String, Vec<u8>)> {
        let rows = self.library.db().pending(0, OWNER.0, 1000).await.unwrap();
        let mut rows: Vec<_> = rows.into_iter().map(|row| (row.name, row.hash)).collect();
        rows.sort();
        rows
    }

    async fn until_pending(&self, expected: &[(&str, &[u8])]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), ContentId::of(bytes).to_vec()))
            .collect();
        let last = std::cell::RefCell::new(Vec::new());
        let found = async || {
            *last.borrow_mut() = self.pending().await;
            (*last.borrow() == expected).then_some(())
        };
        let end = Instant::now() + Duration::from_secs(20);
        while found().await.is_none() {
            assert!(Instant::now() < end, "expected {expected:?}, found {:?}", last.borrow());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn record(
        &self,
        name: &str,
        id: u128,
        version: u64,
        bytes: &[u8],
        visibility: Visibility,
        owner: AccountId,
    ) -> Sealed<Record> {
        let record = Record {
            file: FileId(Uuid::from_u128(id)),
            name: FileName::new(name).unwrap(),
            version,
            content: Content { hash: ContentId::of(bytes), size: bytes.len() as u64 },
            owner,
            visibility,
            serial: 1,
            published_ms: self.clock.now_ms(),
        };
        Sealed::seal(record, &self.key)
    }

    /// As a download into `path` would.
    async fn adopt(&self, record: Sealed<Record>, path: &Path) {
        let stamp = Stamp::of(&fs::File::open(path).unwrap()).unwrap();
        self.library.adopt(FinishedDownload { record, path: path.into(), stamp }).await.unwrap();
    }

    async fn deltas(&self) -> Vec<(u64, Held)> {
        let log = self.library.db().deltas_after(0, 1000).await.unwrap();
        log.into_iter().map(|(_, delta)| (delta.version.version, delta.held)).collect()
    }
}

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
    let world = world(Visibility::Public).await;
    let path = world.share.join("growing");
    let mut file = fs::File::create(&path).unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        std::io::Write::write_all(&mut file, b"more ").unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(world.pending().await.is_empty(), "half a file was indexed");
    }
    drop(file);
    let bytes = fs::read(&path).unwrap();
    world.until_pending(&[("p/growing", &bytes)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_is_held_and_never_published_under_another_name() {
    let world = world(Visibility::Public).await;
    let path = world.write("copy", b"from afar");
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
    assert_eq!(world.deltas().await, [(2, Held::All)]);
    // The user copies it: the same bytes under a name of the share.
    world.write("again", b"from afar");
    let row = world
        .until("the copy is indexed", || async {
            world.library.db().pending(0, OWNER.0, 10).await.unwrap().into_iter().next()
        })
        .await;
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
    for (visibility, owner, expected) in [
        (Visibility::Public, OWNER, (1, 0)),
        (Visibility::Private, AccountId(Uuid::from_u128(9)), (1, 1)),
    ] {
        let world = world(visibility).await;
        let secret = world.write("secret", b"secret");
        world.until_pending(&[("p/secret", b"secret")]).await;
        // As an upload of a private file does it: in place, not fetched.
        world
            .adopt(world.record("p/secret", 7, 1, b"secret", Visibility::Private, owner), &secret)
            .await;
        world.write("leak", b"secret");
        let row = world
            .until("the copy is indexed", || async {
                world.library.db().pending(0, OWNER.0, 10).await.unwrap().into_iter().next()
            })
            .await;
        assert_eq!(
            (row.name.as_str(), row.private_of_others, row.private_of_other_owners),
            ("p/leak", expected.0, expected.1)
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
    world.write_at("file", b"version one", 30);
    let file = record.value.file;
    let stamped =
        || async { world.library.find(file, 1).await.unwrap().filter(|held| held.open().is_ok()) };
    world.until("the touched file is held", stamped).await;
    assert_eq!(world.deltas().await, [(1, Held::All)]);
    // Edited: withdrawn, and to be published in place of the version before.
    world.write("file", b"version two");
    world.until_pending(&[("p/file", b"version two")]).await;
    assert_eq!(world.deltas().await, [(1, Held::All), (1, Held::None)]);
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
    assert_eq!(world.deltas().await, [(1, Held::All), (1, Held::None)]);
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
    deltas.sort_by_key(|(_, held)| *held == Held::None);
    assert_eq!(deltas, [(1, Held::All), (1, Held::All), (1, Held::None), (1, Held::None)]);
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
    world
        .until("the file is gone", || async {
            world.library.find(file, 3).await.unwrap().is_none().then_some(())
        })
        .await;
    world.library.tidy().await.unwrap();
    assert_eq!(db.serial(file).await.unwrap(), 9);
    assert!(
        db.last_had(&FileName::new("p/file").unwrap()).await.unwrap().is_some(),
        "what the next publish replaces"
    );
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
