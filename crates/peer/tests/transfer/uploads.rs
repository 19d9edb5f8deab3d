//! Uploads: read once, hashed on both sides, taken up again where they broke off. Central's part is
//! played by a few routes.

use std::{
    fs, io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::State, routing::post};
use peral_model::{Content, FileId, FileName, Identity, Record, Ticket, Visibility, pieces::PIECE};
use peral_testkit::{
    PATIENCE,
    identity::{Issuer, a_peer, now_ms},
    sample::{MIB, sample},
    until,
};
use peral_transfer::{
    disk::{Disk, Operation},
    limits::{Limits, Rates},
    metrics::Metrics,
    send::{ExpectedRecord, SendDeps, SendRequest, send},
};
use peral_wire::{
    Catalogue, ErrorCode, Failure, Sealed, pb,
    rest::{
        files::{Publish, PublishResult, Published, Source, Sources, SourcesRequest},
        holdings::{DeltaAnswer, Deltas},
    },
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::kit::{Peer, Watcher, dial_as};

/// Signs what is published, notes what is held, and names sources.
pub struct Central {
    pub net: Issuer,
    pub published: Mutex<Vec<Record>>,
    pub sources: Mutex<Option<(Sealed<Record>, Vec<Source>)>>,
    pub twisted: Mutex<bool>,
}

impl Central {
    pub async fn start() -> (Arc<Self>, String) {
        let central = Arc::new(Self {
            net: Issuer::new(),
            published: Mutex::default(),
            sources: Mutex::default(),
            twisted: Mutex::default(),
        });
        let routes = Router::new()
            .route("/v1/files", post(publish))
            .route(
                "/v1/index",
                post(|Json(deltas): Json<Deltas>| async move {
                    Json(DeltaAnswer { last_delta: deltas.first + deltas.deltas.len() as u64 - 1 })
                }),
            )
            .route("/v1/sources", post(sources))
            .with_state(central.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (central, base)
    }

    /// A peer of this central, with a share.
    pub async fn peer(&self, base: &str, limits: Limits) -> Peer {
        self.peer_on(Disk::default(), base, limits).await
    }

    /// The same, on a disk that may fail.
    pub async fn peer_on(&self, disk: Disk, base: &str, limits: Limits) -> Peer {
        let peer = Peer::on(disk, &self.net, limits, base).await;
        let link = peer.library.link();
        link.connect(Catalogue::new(base, reqwest::Client::new(), |_| {}, Duration::from_secs(10)));
        link.renew("token", now_ms() + 3_600_000);
        let share = peer.path("shared");
        fs::create_dir(&share).unwrap();
        peer.library.share(&share, "", Visibility::Public).await.unwrap();
        tokio::spawn(peral_peer::holdings::run(
            peer.library.clone(),
            Arc::default(),
            CancellationToken::new(),
        ));
        peer
    }
}

async fn publish(
    State(central): State<Arc<Central>>,
    Json(publish): Json<Publish>,
) -> Json<Published> {
    let results = publish.files.into_iter().map(|file| {
        let name: FileName = file.name.parse().unwrap();
        let before = central
            .published
            .lock()
            .unwrap()
            .iter()
            .rfind(|record| record.name == name)
            .map(|record| (record.file, record.version));
        let (id, version) = before.unwrap_or((FileId(Uuid::new_v4()), 0));
        let record = Record {
            file: id,
            name,
            version: version + 1,
            content: Content { hash: file.hash, size: file.size },
            owner: central.net.account,
            visibility: if *central.twisted.lock().unwrap() {
                Visibility::Private
            } else {
                file.visibility
            },
            serial: 1,
            published_ms: now_ms(),
        };
        central.published.lock().unwrap().push(record.clone());
        PublishResult::Record(Sealed::seal(record, &central.net.key).to_text())
    });
    Json(Published { results: results.collect() })
}

async fn sources(
    State(central): State<Arc<Central>>,
    Json(_): Json<SourcesRequest>,
) -> Json<Sources> {
    let (record, sources) = central.sources.lock().unwrap().clone().unwrap();
    Json(Sources { record: record.to_text(), grant: None, sources, away: 0 })
}

struct Sender {
    deps: SendDeps,
    identity: Identity,
    dir: TempDir,
    watcher: Arc<Watcher>,
}

impl Sender {
    fn new(net: &Issuer, rate: usize) -> Self {
        let identity = a_peer();
        let limits = Limits::new(Rates { upload: rate as u64, download: 0 });
        let deps = SendDeps {
            dialer: dial_as(net, identity),
            verifier: Arc::new(net.verifier()),
            limits,
            metrics: Metrics::new(),
        };
        Self { deps, identity, dir: tempfile::tempdir().unwrap(), watcher: Arc::default() }
    }

    fn request(&self, peer: &Peer, ticket: &Sealed<Ticket>, bytes: &[u8]) -> SendRequest {
        let path = self.dir.path().join("file");
        fs::write(&path, bytes).unwrap();
        SendRequest {
            path,
            ticket: ticket.clone(),
            address: peer.address,
            expected: ExpectedRecord::of(&ticket.value),
        }
    }

    async fn send(
        &self,
        request: SendRequest,
        cancel: CancellationToken,
    ) -> Result<Sealed<Record>, Failure> {
        let running = send(request, &self.deps, self.watcher.clone(), cancel);
        tokio::time::timeout(PATIENCE, running).await.expect("an upload ends")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_any_size_lands_and_is_held() {
    let (central, base) = Central::start().await;
    let peer = central.peer(&base, Limits::default()).await;
    let sender = Sender::new(&central.net, 0);
    for size in [0, 1, 1023, MIB - 1, MIB, MIB + 1, 5 * MIB + 7] {
        let (bytes, name) = (sample(size), format!("folder/{size}"));
        let ticket = central.net.ticket(peer.id, sender.identity, &name, size as u64);
        let request = sender.request(&peer, &ticket, &bytes);
        let record = sender.send(request.clone(), CancellationToken::new()).await.unwrap();
        assert_eq!(
            (record.value.name.to_string(), record.value.content.size),
            (name.clone(), size as u64)
        );
        assert_eq!(fs::read(peer.path("shared").join(&name)).unwrap(), bytes);
        assert!(peer.library.find(record.value.file, 1).await.unwrap().is_some());
        // The same once more, as by a sender that did not hear the answer.
        assert_eq!(sender.send(request, CancellationToken::new()).await.unwrap(), record);
    }
    assert_eq!(central.published.lock().unwrap().len(), 7, "each was published once");
    assert_eq!(
        fs::read_dir(peer.library.data().uploads()).unwrap().count(),
        0,
        "nothing is left over"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_upload_goes_on_where_it_was() {
    let (central, base) = Central::start().await;
    let peer = central.peer(&base, Limits::default()).await;
    let sender = Sender::new(&central.net, 16 * MIB);
    let bytes = sample(16 * MIB + 77);
    let ticket = central.net.ticket(peer.id, sender.identity, "big", bytes.len() as u64);
    let request = sender.request(&peer, &ticket, &bytes);
    let cancel = CancellationToken::new();
    let stop = async {
        until("some of it went", async || sender.watcher.done() >= 8 * PIECE).await;
        cancel.cancel();
    };
    let (broken, ()) = tokio::join!(sender.send(request.clone(), cancel.clone()), stop);
    assert_eq!(broken.unwrap_err().code, ErrorCode::Cancelled);
    let mut client = peer.client(&sender.deps.dialer).await;
    let open =
        pb::OpenUploadRequest { ticket: Some(ticket.envelope.clone()), size: bytes.len() as u64 };
    let offset = client.open_upload(open).await.unwrap().into_inner().offset;
    assert!(offset >= 5 * PIECE && offset < bytes.len() as u64, "{offset}");
    let record = sender.send(request, CancellationToken::new()).await.unwrap();
    assert_eq!(fs::read(peer.path("shared/big")).unwrap(), bytes);
    let last = sender.watcher.last.lock().unwrap().unwrap();
    assert!(
        last.fetched <= bytes.len() as u64 - offset,
        "only the rest was sent: {}",
        last.fetched
    );
    assert_eq!(record.value.content.size, bytes.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_replaces_the_old_one_but_never_what_its_user_wrote_since() {
    let (central, base) = Central::start().await;
    let peer = central.peer(&base, Limits::default()).await;
    let sender = Sender::new(&central.net, 0);
    let path = peer.path("shared/draft");
    let send = async |bytes: &[u8]| {
        let ticket = central.net.ticket(peer.id, sender.identity, "draft", bytes.len() as u64);
        sender
            .send(sender.request(&peer, &ticket, bytes), CancellationToken::new())
            .await
            .unwrap()
            .value
    };
    send(b"first").await;
    send(b"second").await;
    assert_eq!(fs::read(&path).unwrap(), b"second");
    fs::write(&path, b"a day's work").unwrap();
    let third = send(b"third").await;
    assert_eq!(fs::read(&path).unwrap(), b"a day's work");
    let held = peer.library.find(third.file, third.version).await.unwrap().unwrap();
    assert_eq!(fs::read(&held.path).unwrap(), b"third", "it lies in the data folder");
    assert_eq!(fs::read_dir(peer.path("shared")).unwrap().count(), 1, "nothing is left over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_name_is_held_but_never_made_in_a_share() {
    let (central, base) = Central::start().await;
    let peer = central.peer(&base, Limits::default()).await;
    let sender = Sender::new(&central.net, 0);
    for name in [".profile", ".ssh/authorized_keys", "project/.git/config"] {
        let ticket = central.net.ticket(peer.id, sender.identity, name, 4);
        let record = sender
            .send(sender.request(&peer, &ticket, b"evil"), CancellationToken::new())
            .await
            .unwrap()
            .value;
        let held = peer.library.find(record.file, record.version).await.unwrap().unwrap();
        assert!(held.path.starts_with(peer.library.data().root()), "{}", held.path.display());
        assert_eq!(fs::read(&held.path).unwrap(), b"evil");
    }
    assert_eq!(fs::read_dir(peer.path("shared")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_an_identity_ends_its_upload() {
    use pb::upload_file_request::Part;
    let (central, base) = Central::start().await;
    let peer = central.peer(&base, Limits::default()).await;
    let sender = Sender::new(&central.net, 0);
    let bytes = sample(2 * MIB);
    let ticket = central.net.ticket(peer.id, sender.identity, "cut", bytes.len() as u64);
    let (parts, stream) = futures::channel::mpsc::unbounded();
    let push = |part| parts.unbounded_send(pb::UploadFileRequest { part: Some(part) }).unwrap();
    push(Part::Header(pb::UploadHeader {
        ticket: Some(ticket.envelope.clone()),
        size: bytes.len() as u64,
        offset: 0,
    }));
    push(Part::Piece(pb::Piece { index: 0, data: bytes[..MIB].to_vec().into() }));
    let mut client = peer.client(&sender.deps.dialer).await;
    let answer =
        tokio::spawn(
            async move { client.upload_file(stream).await.map_err(|status| status.code()) },
        );
    let temp = peer.library.upload_temp(ticket.value.upload);
    until("the first piece is there", async || {
        fs::metadata(&temp).is_ok_and(|found| found.len() == PIECE)
    })
    .await;
    peer.library.rights().revoke(sender.identity, now_ms() + 3_600_000).await.unwrap();
    push(Part::Piece(pb::Piece { index: 1, data: bytes[MIB..].to_vec().into() }));
    let end =
        Part::End(pb::UploadEnd { hash: peral_model::ContentId::of(&bytes).0.to_vec().into() });
    // Nobody may listen any more.
    drop(parts.unbounded_send(pb::UploadFileRequest { part: Some(end) }));
    assert_eq!(answer.await.unwrap().unwrap_err(), tonic::Code::Unauthenticated);
    assert!(central.published.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_peer_kept_of_another_state_is_sent_again() {
    let (central, base) = Central::start().await;
    let peer = central.peer(&base, Limits::default()).await;
    let sender = Sender::new(&central.net, 16 * MIB);
    let size = 12 * MIB;
    let ticket = central.net.ticket(peer.id, sender.identity, "edited", size as u64);
    let cancel = CancellationToken::new();
    let stop = async {
        until("some of it went", async || sender.watcher.done() >= 6 * PIECE).await;
        cancel.cancel();
    };
    assert!(
        tokio::join!(
            sender.send(sender.request(&peer, &ticket, &vec![1; size]), cancel.clone()),
            stop
        )
        .0
        .is_err()
    );
    let bytes = sample(size);
    let record = sender
        .send(sender.request(&peer, &ticket, &bytes), CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(record.value.content.hash, peral_model::ContentId::of(&bytes));
    assert_eq!(fs::read(peer.path("shared/edited")).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_written_while_it_is_sent_is_not_published() {
    let (central, base) = Central::start().await;
    let peer = central.peer(&base, Limits::default()).await;
    let sender = Sender::new(&central.net, 16 * MIB);
    let ticket = central.net.ticket(peer.id, sender.identity, "edited", 12 << 20);
    let request = sender.request(&peer, &ticket, &sample(12 * MIB));
    let path = request.path.clone();
    let edit = async {
        until("some of it went", async || sender.watcher.done() >= 2 * PIECE).await;
        fs::write(&path, sample(12 * MIB - 1)).unwrap();
    };
    let (sent, ()) = tokio::join!(sender.send(request, CancellationToken::new()), edit);
    assert_eq!(sent.unwrap_err().code, ErrorCode::Changed);
    assert!(central.published.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_record_of_what_was_meant_is_a_success() {
    let (central, base) = Central::start().await;
    let peer = central.peer(&base, Limits::default()).await;
    let sender = Sender::new(&central.net, 0);
    *central.twisted.lock().unwrap() = true;
    let ticket = central.net.ticket(peer.id, sender.identity, "mine", 100);
    let failure = sender
        .send(sender.request(&peer, &ticket, &sample(100)), CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!(failure.code, ErrorCode::Integrity, "it became private: {failure}");
    let small = central.net.ticket(peer.id, sender.identity, "mine", 99);
    let failure = sender
        .send(sender.request(&peer, &small, &sample(100)), CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!(failure.code, ErrorCode::TooLarge);
    let mut missing = sender.request(&peer, &ticket, b"");
    missing.path.push("not there");
    assert!(sender.send(missing, CancellationToken::new()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_of_yesterday_are_swept() {
    let (central, base) = Central::start().await;
    let peer = central.peer(&base, Limits::default()).await;
    let service =
        peral_peer::PeerService::new(peer.library.clone(), Limits::default(), Metrics::new());
    let path = peer.library.upload_temp(peral_model::UploadId(Uuid::new_v4()));
    fs::write(&path, b"half").unwrap();
    service.sweep_uploads(now_ms()).await.unwrap();
    assert!(path.exists());
    service.sweep_uploads(now_ms() + 25 * 3_600_000).await.unwrap();
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_changes_nothing_and_a_later_try_succeeds() {
    let (central, base) = Central::start().await;
    let fails = Arc::new(Mutex::new(None));
    let told = Arc::clone(&fails);
    let disk = Disk::failing(move |operation| match *told.lock().unwrap() {
        Some((fails, kind)) if fails == operation => Err(io::Error::from(kind)),
        _ => Ok(()),
    });
    let peer = central.peer_on(disk, &base, Limits::default()).await;
    let sender = Sender::new(&central.net, 0);
    let (first, second) = (sample(2 * MIB + 7), sample(3 * MIB + 1));
    for (name, operation, kind, code) in [
        ("full", Operation::Write, io::ErrorKind::StorageFull, ErrorCode::NoSpace),
        ("lost", Operation::Sync, io::ErrorKind::Other, ErrorCode::Internal),
        ("quota", Operation::Sync, io::ErrorKind::QuotaExceeded, ErrorCode::NoSpace),
        ("stuck", Operation::Rename, io::ErrorKind::Other, ErrorCode::Internal),
    ] {
        let request = |bytes: &[u8]| {
            let ticket = central.net.ticket(peer.id, sender.identity, name, bytes.len() as u64);
            sender.request(&peer, &ticket, bytes)
        };
        sender.send(request(&first), CancellationToken::new()).await.unwrap();
        let again = request(&second);
        *fails.lock().unwrap() = Some((operation, kind));
        let failure = sender.send(again.clone(), CancellationToken::new()).await.unwrap_err();
        assert_eq!(failure.code, code, "{operation:?}: {failure}");
        let path = peer.path("shared").join(name);
        assert!(fs::read(&path).unwrap() == first, "{name}: what was there stays");
        *fails.lock().unwrap() = None;
        let record = sender.send(again, CancellationToken::new()).await.unwrap().value;
        let held = peer.library.find(record.file, record.version).await.unwrap().unwrap();
        assert!(fs::read(&held.path).unwrap() == second, "{name}: a later try succeeds");
    }
    assert_eq!(fs::read_dir(peer.path("shared")).unwrap().count(), 4, "nothing is left over");
    assert_eq!(fs::read_dir(peer.library.data().uploads()).unwrap().count(), 0);
}
