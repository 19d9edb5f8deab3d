//! Where a download is written: never over anything but a regular file, readable by whom it is
//! for, and nothing left behind.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt, symlink},
    sync::atomic::Ordering,
    time::Duration,
};

use peral_model::{Content, ContentId, Visibility};
use peral_testkit::{
    identity::{HOUR, Issuer, a_peer},
    sample::{MIB, sample},
    until,
};
use peral_transfer::limits::{Limits, Rates};
use peral_wire::{ErrorCode, fail};

use crate::kit::{Getter, Peer};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_regular_file_is_never_replaced() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    let record = peer.hold(&net, "a file", &sample(2 * MIB), Visibility::Public).await;
    let mut getter = Getter::new(&net, &record, &[peer.source()]);
    getter.request.overwrite = true;
    let folder = getter.dir.path().join("target");
    rustix::fs::mkfifoat(rustix::fs::CWD, folder.join("pipe"), rustix::fs::Mode::RUSR).unwrap();
    fs::write(getter.dir.path().join("mine"), b"mine").unwrap();
    symlink(getter.dir.path().join("mine"), folder.join("link")).unwrap();
    for (path, what) in [
        (folder.join("pipe"), "pipe"),
        (folder.join("link"), "symlink"),
        ("/dev/null".into(), "device"),
    ] {
        getter.request.path = path.clone();
        let failure = getter.get().await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::InvalidArgument, "{failure}");
        assert!(
            failure.detail.contains(what) && failure.detail.contains(path.to_str().unwrap()),
            "{failure}"
        );
    }
    assert!(fs::symlink_metadata(folder.join("pipe")).unwrap().file_type().is_fifo());
    assert!(fs::symlink_metadata(folder.join("link")).unwrap().is_symlink());
    assert_eq!(getter.files(), ["link", "pipe"]);
}

/// A pipe that comes while the download runs is not replaced either.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_meanwhile_is_looked_at_again() {
    let net = Issuer::new();
    let peer = Peer::with(
        &net,
        Limits::new(Rates { upload: 10 << 20, download: 0 }),
        "http://127.0.0.1:1",
    )
    .await;
    let record = peer.hold(&net, "a file", &sample(6 * MIB), Visibility::Public).await;
    let mut getter = Getter::new(&net, &record, &[peer.source()]);
    getter.request.overwrite = true;
    let comes = async {
        until("some of it came", async || getter.watcher.done() >= 1 << 20).await;
        rustix::fs::mkfifoat(rustix::fs::CWD, getter.path(), rustix::fs::Mode::RUSR).unwrap();
    };
    assert_eq!(tokio::join!(getter.get(), comes).0.unwrap_err().code, ErrorCode::InvalidArgument);
    assert!(fs::symlink_metadata(getter.path()).unwrap().file_type().is_fifo());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_cannot_be_written_is_named() {
    let net = Issuer::new();
    let record = net.record(
        "a file",
        Content { hash: ContentId([7; 32]), size: 5 << 20 },
        Visibility::Public,
    );
    let mut getter = Getter::new(&net, &record, &[]);
    fs::write(getter.path(), b"a file").unwrap();
    for path in ["/proc/x".into(), getter.path().join("below")] {
        getter.request.path = path.clone();
        let failure = getter.get().await.unwrap_err();
        assert!(
            matches!(failure.code, ErrorCode::InvalidArgument | ErrorCode::Forbidden),
            "{failure}"
        );
        assert!(failure.detail.contains(path.parent().unwrap().to_str().unwrap()), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_without_a_piece_leaves_nothing() {
    let net = Issuer::new();
    let record =
        net.record("gone", Content { hash: ContentId([7; 32]), size: 5 << 20 }, Visibility::Public);
    let mut getter = Getter::new(&net, &record, &[]);
    assert_eq!(getter.get().await.unwrap_err().code, ErrorCode::NoSource);
    assert!(getter.files().is_empty(), "{:?}", getter.files());
    // One that is cut off while it waits, too.
    getter.request.wait = Duration::from_secs(60);
    getter.finder.away.store(1, Ordering::SeqCst);
    let cancel = tokio_util::sync::CancellationToken::new();
    let stop = async {
        until("it waits", async || getter.watcher.last.lock().unwrap().is_some()).await;
        cancel.cancel();
    };
    assert_eq!(
        tokio::join!(getter.get_until(cancel.clone()), stop).0.unwrap_err().code,
        ErrorCode::Cancelled
    );
    until("nothing stays", async || getter.files().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_file_is_for_its_owner_only() {
    let net = Issuer::new();
    let peer = Peer::start(&net).await;
    for size in [0, MIB / 2, 3 * MIB] {
        let record = peer.hold(&net, "mine", &sample(size), Visibility::Private).await;
        let bearer = a_peer();
        let getter = Getter::showing(
            &net,
            &record,
            Some(net.grant(&record.value, bearer)),
            &[peer.source()],
            bearer,
        );
        getter.get().await.unwrap();
        assert_eq!(fs::metadata(getter.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_withdrawn_meanwhile_ends_it_with_the_reason() {
    let net = Issuer::new();
    let peer = Peer::with(
        &net,
        Limits::new(Rates { upload: 10 << 20, download: 0 }),
        "http://127.0.0.1:1",
    )
    .await;
    let record = peer.hold(&net, "a file", &sample(20 * MIB), Visibility::Public).await;
    let mut getter = Getter::new(&net, &record, &[peer.source()]);
    // Whoever waited for another source would do so for longer than this test.
    getter.request.wait = HOUR;
    let withdraw = async {
        until("some of it came", async || getter.watcher.done() >= 2 << 20).await;
        *getter.finder.refuses.lock().unwrap() =
            Some(fail!(Unauthenticated, "the account is disabled"));
        peer.kill();
    };
    let failure = tokio::join!(getter.get(), withdraw).0.unwrap_err();
    assert_eq!(
        (failure.code, failure.detail.as_str()),
        (ErrorCode::Unauthenticated, "the account is disabled")
    );
}
