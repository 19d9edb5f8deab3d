//! Downloads: whole or not at all.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::atomic::Ordering, time::Duration};

use peral_model::{Visibility, pieces::PIECE};
use peral_testkit::{
    identity::{HOUR, Issuer},
    sample::{MIB, sample},
    until,
};
use peral_transfer::{
    fetch::{Room, RoomGuard},
    limits::{Limits, Rates},
};
use peral_wire::{ErrorCode, Failure, fail};
use tokio_util::sync::CancellationToken;

use crate::kit::{Getter, Peer, source};

fn slow(bytes_per_second: u64) -> Limits {
    Limits::new(Rates { upload: bytes_per_second, download: 0 })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_any_size_comes_equal() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    for size in [0, 1, 1023, MIB - 1, MIB, MIB + 1, 5 * MIB + 7, 9 * MIB] {
        let bytes = sample(size);
        let record = peer.hold(&net, "a file", &bytes, Visibility::Public).await;
        let getter = Getter::new(&net, &record, &[peer.source()]);
        let fetched = getter.get().await.unwrap();
        assert_eq!(fs::read(getter.path()).unwrap(), bytes, "{size}");
        assert_eq!((fetched.bytes_fetched, fetched.bytes_wasted), (size as u64, 0));
        assert_eq!(getter.files(), ["file"], "nothing else stays");
        assert_eq!(
            fs::metadata(getter.path()).unwrap().permissions().mode() & 0o444,
            0o444 & fetched_mode(),
            "as the user's mask says"
        );
        assert_eq!(getter.watcher.done(), size as u64);
    }
}

/// What a new file gets here.
fn fetched_mode() -> u32 {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("x"), b"").unwrap();
    fs::metadata(temp.path().join("x")).unwrap().permissions().mode()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_edited_is_given_up_and_comes_from_elsewhere() {
    let net = Issuer::new();
    let (one, two) = (Peer::start(&net).await, Peer::start(&net).await);
    let bytes = sample(3 * MIB);
    let record = one.hold(&net, "edited", &bytes, Visibility::Public).await;
    fs::write(one.path(&record.value.file.to_string()), b"something else").unwrap();
    let alone = Getter::new(&net, &record, &[one.source()]);
    let failure = alone.get().await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::NoSource);
    assert!(
        failure.detail.contains("changed") && failure.detail.contains(&one.id.to_string()),
        "{failure}"
    );
    assert_eq!(
        one.library.find(record.value.file, 1).await.unwrap().map(|held| held.path),
        None,
        "it offers it no more"
    );

    two.hold_record(&record, &bytes).await;
    let getter = Getter::new(&net, &record, &[one.source(), two.source()]);
    getter.get().await.unwrap();
    assert_eq!(fs::read(getter.path()).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_edited_while_it_is_sent_ends_the_stream() {
    let net = Issuer::new();
    let peer = Peer::with(&net, slow(8 << 20), "http://127.0.0.1:1").await;
    let bytes = sample(24 * MIB);
    let record = peer.hold(&net, "edited", &bytes, Visibility::Public).await;
    let getter = Getter::new(&net, &record, &[peer.source()]);
    let edit = async {
        until("some of it came", async || getter.watcher.done() >= 4 * PIECE).await;
        fs::write(peer.path(&record.value.file.to_string()), sample(24 * MIB + 1)).unwrap();
    };
    let (fetched, ()) = tokio::join!(getter.get(), edit);
    assert_eq!(fetched.unwrap_err().code, ErrorCode::NoSource);
    assert!(getter.watcher.noted().contains("changed"), "{}", getter.watcher.noted());
    assert!(!getter.path().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_source_dies_the_next_one_goes_on() {
    let net = Issuer::new();
    let (one, two) =
        (Peer::with(&net, slow(10 << 20), "http://127.0.0.1:1").await, Peer::start(&net).await);
    let bytes = sample(20 * MIB + 11);
    let record = one.hold(&net, "a file", &bytes, Visibility::Public).await;
    two.hold_record(&record, &bytes).await;
    let mut getter = Getter::new(&net, &record, &[one.source()]);
    getter.request.wait = Duration::from_secs(20);
    let die = async {
        until("some of it came", async || getter.watcher.done() >= 4 * PIECE).await;
        getter.finder.sources.lock().unwrap().push(two.source());
        one.kill();
    };
    let (fetched, ()) = tokio::join!(getter.get(), die);
    let fetched = fetched.unwrap();
    assert_eq!(fs::read(getter.path()).unwrap(), bytes);
    assert_eq!(fetched.bytes_fetched, bytes.len() as u64, "no piece is counted twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_download_goes_on_where_it_was() {
    let net = Issuer::new();
    let peer = Peer::with(&net, slow(20 << 20), "http://127.0.0.1:1").await;
    let bytes = sample(24 * MIB + 5);
    let record = peer.hold(&net, "a file", &bytes, Visibility::Public).await;
    let getter = Getter::new(&net, &record, &[peer.source()]);
    let mut fetched = 0;
    for cut in [6 * PIECE, 13 * PIECE] {
        let cancel = CancellationToken::new();
        let running = getter.get_until(cancel.clone());
        let stop = async {
            until("some of it came", async || getter.watcher.done() >= cut).await;
            cancel.cancel();
        };
        assert_eq!(tokio::join!(running, stop).0.unwrap_err().code, ErrorCode::Cancelled);
        assert!(!getter.path().exists());
        let last = getter.watcher.last.lock().unwrap().unwrap();
        fetched += last.fetched;
    }
    // A stray piece, as after a crash between a write and the journal: the hash decides.
    let (part, journal) = (part(&getter, "part"), part(&getter, "journal"));
    let mut claimed = fs::read(&journal).unwrap();
    let last = claimed.len() - 1;
    claimed[last] |= 1;
    fs::write(&journal, claimed).unwrap();
    assert_eq!(fs::metadata(&part).unwrap().permissions().mode() & 0o777, 0o600);
    let rest = getter.get().await.unwrap();
    assert_eq!(fs::read(getter.path()).unwrap(), bytes);
    let again = (fetched + rest.bytes_fetched).saturating_sub(bytes.len() as u64);
    assert!(again <= 8 * PIECE, "two cuts, and {again} bytes came again");
    assert!(rest.bytes_fetched < 14 * PIECE, "{}", rest.bytes_fetched);
}

fn part(getter: &Getter, kind: &str) -> std::path::PathBuf {
    let name = getter.files().into_iter().find(|name| name.ends_with(kind)).unwrap();
    let hash = getter.request.record.value.content.hash.to_string();
    assert_eq!(name, format!(".file.{}.{kind}", &hash[..8]));
    getter.path().with_file_name(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_was_damaged_is_fetched_again() {
    let net = Issuer::new();
    let peer = Peer::with(&net, slow(20 << 20), "http://127.0.0.1:1").await;
    let bytes = sample(16 * MIB);
    let record = peer.hold(&net, "a file", &bytes, Visibility::Public).await;
    let getter = Getter::new(&net, &record, &[peer.source()]);
    let cancel = CancellationToken::new();
    let stop = async {
        until("some of it came", async || getter.watcher.done() >= 6 * PIECE).await;
        cancel.cancel();
    };
    assert!(tokio::join!(getter.get_until(cancel.clone()), stop).0.is_err());
    let part = part(&getter, "part");
    let mut damaged = fs::read(&part).unwrap();
    for at in (0..damaged.len()).step_by(MIB) {
        damaged[at] ^= 1;
    }
    fs::write(&part, damaged).unwrap();
    getter.get().await.unwrap();
    assert_eq!(fs::read(getter.path()).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_not_overwritten_unless_it_may_be() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    let bytes = sample(2 * MIB);
    let record = peer.hold(&net, "a file", &bytes, Visibility::Public).await;
    let mut getter = Getter::new(&net, &record, &[peer.source()]);
    fs::write(getter.path(), b"mine").unwrap();
    assert_eq!(getter.get().await.unwrap_err().code, ErrorCode::AlreadyExists);
    assert_eq!(fs::read(getter.path()).unwrap(), b"mine");
    getter.request.overwrite = true;
    getter.get().await.unwrap();
    assert_eq!(fs::read(getter.path()).unwrap(), bytes);
    getter.request.overwrite = false;
    assert_eq!(getter.get().await.unwrap().bytes_fetched, 0, "the file that is wanted is there");
    getter.request.path = getter.dir.path().join("target");
    assert_eq!(getter.get().await.unwrap_err().code, ErrorCode::AlreadyExists, "a folder");
    getter.request.path = getter.dir.path().join("not there/file");
    assert_eq!(getter.get().await.unwrap_err().code, ErrorCode::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_appears_meanwhile_is_not_overwritten() {
    let net = Issuer::new();
    let peer = Peer::with(&net, slow(10 << 20), "http://127.0.0.1:1").await;
    let record = peer.hold(&net, "a file", &sample(6 * MIB), Visibility::Public).await;
    let getter = Getter::new(&net, &record, &[peer.source()]);
    let write = async {
        until("some of it came", async || getter.watcher.done() >= PIECE).await;
        fs::write(getter.path(), b"mine").unwrap();
    };
    let (fetched, ()) = tokio::join!(getter.get(), write);
    assert_eq!(fetched.unwrap_err().code, ErrorCode::AlreadyExists);
    assert_eq!(fs::read(getter.path()).unwrap(), b"mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_downloads_do_not_write_the_same_part() {
    let net = Issuer::new();
    let peer = Peer::with(&net, slow(4 << 20), "http://127.0.0.1:1").await;
    let bytes = sample(14 * MIB);
    let record = peer.hold(&net, "a file", &bytes, Visibility::Public).await;
    let getter = Getter::new(&net, &record, &[peer.source()]);
    let second = async {
        until("the first one runs", async || getter.watcher.done() >= PIECE).await;
        getter.get().await
    };
    let (first, second) = tokio::join!(getter.get(), second);
    assert_eq!(second.unwrap_err().code, ErrorCode::Busy);
    first.unwrap();
    assert_eq!(fs::read(getter.path()).unwrap(), bytes);
}

struct Full;
impl Room for Full {
    fn reserve(&self, folder: &Path, bytes: u64) -> Result<RoomGuard, Failure> {
        assert!(folder.is_dir() && bytes > 0);
        Err(fail!(NoSpace, "full"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_known_before_anything_moves() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    let record = peer.hold(&net, "a file", &sample(3 * MIB), Visibility::Public).await;
    let getter = Getter::new(&net, &record, &[peer.source()]).with_room(Full);
    assert_eq!(getter.get().await.unwrap_err().code, ErrorCode::NoSpace);
    assert!(!getter.path().exists() && peer.limits.slots.open() == 0);
    assert!(getter.files().is_empty(), "without a piece nothing stays: {:?}", getter.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_that_no_disk_holds_is_a_typed_error() {
    let net = Issuer::new();
    let huge =
        peral_model::Content { hash: peral_model::ContentId([7; 32]), size: i64::MAX as u64 };
    let getter = Getter::new(&net, &net.record("huge", huge, Visibility::Public), &[]);
    assert_eq!(getter.get().await.unwrap_err().code, ErrorCode::TooLarge);
    let much = peral_model::Content { size: 1 << 50, ..huge };
    let getter = Getter::new(&net, &net.record("much", much, Visibility::Public), &[]);
    assert_eq!(getter.get().await.unwrap_err().code, ErrorCode::NoSpace);
}

/// I8: a call ends before its deadline, in success or a typed error.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_waited_for_who_does_not_exist() {
    let net = Issuer::new();
    let record = net.record(
        "gone",
        peral_model::Content { hash: peral_model::ContentId([7; 32]), size: 5 << 20 },
        Visibility::Public,
    );
    let mut getter = Getter::new(&net, &record, &[]);
    // Whoever waited would do so for longer than this test.
    getter.request.wait = HOUR;
    let failure = getter.get().await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::NoSource);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_away_is_waited_for() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    for size in [MIB / 2, 4 * MIB] {
        let bytes = sample(size);
        let record = peer.hold(&net, "a file", &bytes, Visibility::Public).await;
        let mut getter = Getter::new(&net, &record, &[]);
        getter.request.wait = Duration::from_secs(30);
        getter.finder.away.store(1, Ordering::SeqCst);
        let comes = async {
            until("it waits", async || {
                getter
                    .watcher
                    .last
                    .lock()
                    .unwrap()
                    .is_some_and(|last| last.phase == peral_transfer::progress::Phase::Waiting)
            })
            .await;
            getter.finder.sources.lock().unwrap().push(peer.source());
        };
        let (fetched, ()) = tokio::join!(getter.get(), comes);
        fetched.unwrap();
        assert_eq!(fs::read(getter.path()).unwrap(), bytes);
        let mut vain = Getter::new(&net, &record, &[]);
        vain.request.wait = Duration::from_secs(1);
        vain.finder.away.store(1, Ordering::SeqCst);
        assert_eq!(vain.get().await.unwrap_err().code, ErrorCode::NoSource);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_peer_at_the_address_is_refused() {
    let net = Issuer::new();
    let (wanted, other) = (Peer::start(&net).await, Peer::start(&net).await);
    let bytes = sample(2 * MIB);
    let record = other.hold(&net, "a file", &bytes, Visibility::Public).await;
    let mut getter = Getter::new(&net, &record, &[source(wanted.id, other.address)]);
    getter.request.wait = Duration::from_millis(300);
    let failure = getter.get().await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::NoSource);
    assert!(failure.detail.contains("answers where"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_both_ends_hold() {
    let (net, bytes) = (Issuer::new(), sample(4 * MIB));
    // The first piece passes at once, the second one after two minutes.
    let crawling = 8 << 10;
    for (upload, download) in [(crawling, 0), (0, crawling)] {
        let limited = Peer::with(&net, slow(upload), "http://127.0.0.1:1").await;
        let free = Peer::start(&net).await;
        let record = limited.hold(&net, "a file", &bytes, Visibility::Public).await;
        free.hold_record(&record, &bytes).await;
        let mut getter = Getter::new(&net, &record, &[limited.source()]);
        getter.deps.limits = Limits::new(Rates { upload: 0, download });
        let other = Getter::new(&net, &record, &[free.source()]);
        let cancel = CancellationToken::new();
        let meanwhile = async {
            until("the first piece came", async || getter.watcher.done() >= PIECE).await;
            other.get().await.unwrap();
            assert_eq!(getter.watcher.done(), PIECE, "nothing more comes meanwhile");
            cancel.cancel();
        };
        let (held_up, ()) = tokio::join!(getter.get_until(cancel.clone()), meanwhile);
        assert_eq!(held_up.unwrap_err().code, ErrorCode::Cancelled);
    }
}
