//! Accepted downloads: they go on by themselves, and over restarts.

use std::{fs, path::Path, time::Duration};

use futures::{Stream, StreamExt};
use peral_model::{Record, Visibility};
use peral_peer::{Jobs, JobsDeps};
use peral_runtime::Shutdown;
use peral_testkit::{
    PATIENCE,
    identity::Issuer,
    sample::{MIB, sample},
    until,
};
use peral_transfer::{
    limits::{Limits, Rates},
    metrics::Metrics,
};
use peral_wire::{ErrorCode, Failure, Sealed, pb};
use uuid::Uuid;

use crate::{
    kit::{Peer, dial_as},
    uploads::Central,
};

fn jobs(net: &Issuer, peer: &Peer, shutdown: &Shutdown) -> Jobs {
    Jobs::new(JobsDeps {
        library: peer.library.clone(),
        dialer: dial_as(net, peral_model::Identity::Peer(peer.id)),
        limits: Limits::default(),
        metrics: Metrics::new(),
        clock: peer.clock.clone(),
        shutdown: shutdown.clone(),
    })
}

fn request(record: &Sealed<Record>, path: &Path) -> pb::DownloadRequest {
    pb::DownloadRequest {
        record: Some(record.envelope.clone()),
        path: path.to_str().unwrap().into(),
        wait_seconds: 5,
        ..pb::DownloadRequest::default()
    }
}

async fn end(
    stream: impl Stream<Item = Result<pb::Progress, Failure>>,
) -> Result<pb::Progress, Failure> {
    let all =
        tokio::time::timeout(PATIENCE, stream.collect::<Vec<_>>()).await.expect("a download ends");
    all.into_iter().last().unwrap()
}

fn slow() -> Limits {
    Limits::new(Rates { upload: 8 << 20, download: 0 })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_download_is_done_and_served_from_there() {
    let (central, base) = Central::start().await;
    let (one, two) = (
        central.peer(&base, Limits::default()).await,
        central.peer(&base, Limits::default()).await,
    );
    let bytes = sample(5 * MIB + 1);
    let record = one.hold(&central.net, "a file", &bytes, Visibility::Public).await;
    *central.sources.lock().unwrap() = Some((record.clone(), vec![one.source()]));
    let jobs = jobs(&central.net, &two, &Shutdown::new());
    let path = two.path("shared/here");
    let id = jobs.accept(&request(&record, &path)).await.unwrap();
    let last = end(jobs.watch(id).unwrap()).await.unwrap();
    assert_eq!((last.phase(), last.record), (pb::Phase::Done, Some(record.envelope.clone())));
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(two.library.find(record.value.file, 1).await.unwrap().unwrap().path, path);
    assert!(jobs.list().is_empty() && two.library.db().jobs().await.unwrap().is_empty());
    assert_eq!(
        end(jobs.watch(id).unwrap()).await.unwrap().phase(),
        pb::Phase::Done,
        "its end can still be asked for"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_after_a_restart() {
    let (central, base) = Central::start().await;
    let (one, two) =
        (central.peer(&base, slow()).await, central.peer(&base, Limits::default()).await);
    let bytes = sample(12 * MIB);
    let record = one.hold(&central.net, "a file", &bytes, Visibility::Public).await;
    *central.sources.lock().unwrap() = Some((record.clone(), vec![one.source()]));
    let (shutdown, path) = (Shutdown::new(), two.path("here"));
    let before = jobs(&central.net, &two, &shutdown);
    let id = before.accept(&request(&record, &path)).await.unwrap();
    assert_eq!(
        before.accept(&request(&record, &path)).await.unwrap(),
        id,
        "the same wish is the same job"
    );
    until("some of it came", async || before.list().first().is_some_and(|job| job.done >= 3 << 20))
        .await;
    assert!(shutdown.finish(Duration::from_secs(10)).await);
    drop(before);
    assert!(!path.exists());

    let after = jobs(&central.net, &two, &Shutdown::new());
    after.resume_all().await.unwrap();
    let last = end(after.watch(id).unwrap()).await.unwrap();
    assert!(last.fetched <= 10 << 20, "{}", last.fetched);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_one_leaves_nothing() {
    let (central, base) = Central::start().await;
    let (one, two) =
        (central.peer(&base, slow()).await, central.peer(&base, Limits::default()).await);
    let record = one.hold(&central.net, "a file", &sample(20 * MIB), Visibility::Public).await;
    *central.sources.lock().unwrap() = Some((record.clone(), vec![one.source()]));
    let jobs = jobs(&central.net, &two, &Shutdown::new());
    let folder = two.path("downloads");
    fs::create_dir(&folder).unwrap();
    let id = jobs.accept(&request(&record, &folder.join("file"))).await.unwrap();
    let watched = tokio::spawn(end(jobs.watch(id).unwrap()));
    until("some of it came", async || jobs.list().first().is_some_and(|job| job.done > 0)).await;
    jobs.cancel(id).await.unwrap();
    assert_eq!(watched.await.unwrap().unwrap_err().code, ErrorCode::Cancelled);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    assert!(jobs.list().is_empty() && two.library.db().jobs().await.unwrap().is_empty());
    assert_eq!(jobs.cancel(id).await.unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_one_is_shown_until_it_is_asked_for_again() {
    let (central, base) = Central::start().await;
    let (one, two) = (
        central.peer(&base, Limits::default()).await,
        central.peer(&base, Limits::default()).await,
    );
    let bytes = sample(2 * MIB);
    let record = one.hold(&central.net, "a file", &bytes, Visibility::Public).await;
    *central.sources.lock().unwrap() = Some((record.clone(), Vec::new()));
    let first = jobs(&central.net, &two, &Shutdown::new());
    let wanted = request(&record, &two.path("here"));
    let id = first.accept(&wanted).await.unwrap();
    assert_eq!(end(first.watch(id).unwrap()).await.unwrap_err().code, ErrorCode::NoSource);
    let shown = first.list();
    assert_eq!((shown[0].state.as_str(), shown[0].name.as_str()), ("failed", "a file"));
    // It stays failed over a restart.
    let second = jobs(&central.net, &two, &Shutdown::new());
    second.resume_all().await.unwrap();
    assert_eq!(second.list()[0].state, "failed");
    *central.sources.lock().unwrap() = Some((record.clone(), vec![one.source()]));
    let again = second.accept(&wanted).await.unwrap();
    assert_eq!(end(second.watch(again).unwrap()).await.unwrap().phase(), pb::Phase::Done);
    assert!(second.list().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_that_cannot_be_are_refused() {
    let (central, base) = Central::start().await;
    let peer = central.peer(&base, Limits::default()).await;
    let record = peer.hold(&central.net, "a file", &sample(10), Visibility::Public).await;
    let jobs = jobs(&central.net, &peer, &Shutdown::new());
    let good = request(&record, &peer.path("x"));
    let inside = peer.library.data().root().join("x").to_str().unwrap().to_owned();
    let bad = [
        (pb::DownloadRequest { record: None, ..good.clone() }, ErrorCode::InvalidArgument),
        (
            pb::DownloadRequest { record: Some(pb::Envelope::default()), ..good.clone() },
            ErrorCode::Unauthenticated,
        ),
        (
            pb::DownloadRequest { path: "relative".into(), ..good.clone() },
            ErrorCode::InvalidArgument,
        ),
        (
            pb::DownloadRequest { path: "/a/../b".into(), ..good.clone() },
            ErrorCode::InvalidArgument,
        ),
        (pb::DownloadRequest { path: inside, ..good.clone() }, ErrorCode::InvalidArgument),
        (
            pb::DownloadRequest {
                sources: vec![pb::Source {
                    peer: vec![1; 3].into(),
                    address: "x".into(),
                    ..pb::Source::default()
                }],
                ..good.clone()
            },
            ErrorCode::InvalidArgument,
        ),
        (pb::DownloadRequest { wait_seconds: u32::MAX, ..good }, ErrorCode::InvalidArgument),
    ];
    for (request, expected) in bad {
        assert_eq!(jobs.accept(&request).await.unwrap_err().code, expected, "{request:?}");
    }
    assert_eq!(jobs.watch(Uuid::new_v4()).map(drop).unwrap_err().code, ErrorCode::NotFound);
}
