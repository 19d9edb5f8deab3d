//! Sources whose bytes are wrong: by intent, or by a bad disk.

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream, stream::BoxStream};
use peral_model::{Identity, PeerId, Visibility, pieces, pieces::PIECE};
use peral_runtime::Shutdown;
use peral_testkit::{
    files::flip_bit,
    identity::{Issuer, a_peer, content_of},
    sample::{MIB, sample},
};
use peral_wire::{
    ErrorCode, pb,
    pb::peer_service_server::{PeerService, PeerServiceServer},
    rest::files::Source,
};
use tonic::{Request, Response, Status, Streaming, service::Routes};
use uuid::Uuid;

use crate::kit::{Getter, Peer, dial_as, listen, source};

/// Serves wrong bytes under the right list, or a wrong list.
struct Liar {
    bytes: Vec<u8>,
    list: Vec<u8>,
    served: Arc<AtomicU64>,
}

struct Running {
    id: PeerId,
    address: SocketAddr,
    served: Arc<AtomicU64>,
    shutdown: Shutdown,
}

impl Running {
    fn source(&self) -> Source {
        source(self.id, self.address)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.kill();
    }
}

fn list_of(bytes: &[u8]) -> Vec<u8> {
    let entry = |(index, piece): (usize, &[u8])| {
        pieces::entry(bytes.len() as u64, index as u64, piece).unwrap()
    };
    bytes.chunks(MIB).enumerate().flat_map(entry).collect()
}

fn start(net: &Issuer, bytes: Vec<u8>, list: Vec<u8>) -> Running {
    let (id, served) = (PeerId(Uuid::new_v4()), Arc::new(AtomicU64::new(0)));
    let liar = Liar { bytes, list, served: served.clone() };
    let router = Routes::new(PeerServiceServer::new(liar).max_encoding_message_size(8 * MIB))
        .into_axum_router();
    let (address, shutdown) = listen(net, &net.certs(Identity::Peer(id)), router);
    Running { id, address, served, shutdown }
}

#[tonic::async_trait]
impl PeerService for Liar {
    type DownloadFileStream = BoxStream<'static, Result<pb::Piece, Status>>;
    type PieceListStream = BoxStream<'static, Result<pb::PieceListPart, Status>>;
    type EchoStream = BoxStream<'static, Result<pb::Piece, Status>>;

    async fn download_file(
        &self,
        request: Request<pb::DownloadFileRequest>,
    ) -> Result<Response<Self::DownloadFileStream>, Status> {
        let ranges = request.into_inner().ranges;
        let (bytes, served) = (self.bytes.clone(), self.served.clone());
        let indices = ranges.into_iter().flat_map(|range| range.first..range.first + range.count);
        let pieces = indices.map(move |index| {
            served.fetch_add(1, Ordering::SeqCst);
            let data = bytes.chunks(MIB).nth(usize::try_from(index).unwrap()).unwrap().to_vec();
            Ok(pb::Piece { index, data: data.into() })
        });
        Ok(Response::new(stream::iter(pieces).boxed()))
    }

    async fn piece_list(
        &self,
        _: Request<pb::PieceListRequest>,
    ) -> Result<Response<Self::PieceListStream>, Status> {
        let part = pb::PieceListPart { entries: self.list.clone().into() };
        let pace = tokio::time::interval(Duration::from_millis(1));
        let parts = stream::unfold((part, pace), |(part, mut pace)| async {
            pace.tick().await;
            Some((Ok(part.clone()), (part, pace)))
        });
        // One that has nothing to say says so without end.
        Ok(Response::new(parts.take(if self.list.is_empty() { usize::MAX } else { 1 }).boxed()))
    }

    async fn open_upload(
        &self,
        _: Request<pb::OpenUploadRequest>,
    ) -> Result<Response<pb::OpenUploadResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn upload_file(
        &self,
        _: Request<Streaming<pb::UploadFileRequest>>,
    ) -> Result<Response<pb::UploadFileResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn list_files(
        &self,
        _: Request<pb::ListFilesRequest>,
    ) -> Result<Response<pb::ListFilesResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn stat_file(
        &self,
        _: Request<pb::StatFileRequest>,
    ) -> Result<Response<pb::HeldFile>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn echo(
        &self,
        request: Request<Streaming<pb::Piece>>,
    ) -> Result<Response<Self::EchoStream>, Status> {
        let changed = |piece: pb::Piece| pb::Piece { data: wrong(&piece.data).into(), ..piece };
        Ok(Response::new(request.into_inner().map(move |piece| piece.map(changed)).boxed()))
    }
}

fn wrong(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ 1).collect()
}

/// I2: no byte reaches a user unless its piece hashed to the signed content.
#[tokio::test(flavor = "multi_thread")]
async fn a_liar_is_banned_and_the_file_comes_from_another() {
    let net = Issuer::new();
    let bytes = sample(20 * MIB + 3);
    let honest = Peer::start(&net).await;
    let record = honest.hold(&net, "a file", &bytes, Visibility::Public).await;
    let liar = start(&net, wrong(&bytes), list_of(&bytes));
    let mut getter = Getter::new(&net, &record, &[liar.source()]);
    getter.request.wait = Duration::from_secs(20);
    // The liar is asked first; the honest one is named later.
    getter.finder.sources.lock().unwrap().push(honest.source());
    let fetched = getter.get().await.unwrap();
    assert_eq!(fs::read(getter.path()).unwrap(), bytes);
    assert!(
        fetched.bytes_wasted <= 2 * PIECE,
        "the first bad piece, and the answer to the question about it: {}",
        fetched.bytes_wasted
    );
    if liar.served.load(Ordering::SeqCst) > 0 {
        let notes = getter.watcher.noted();
        assert!(notes.contains(&liar.id.to_string()) && notes.contains("bad piece"), "{notes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_echo_of_other_bytes_is_refused() {
    let net = Issuer::new();
    let liar = start(&net, Vec::new(), Vec::new());
    let dialer = dial_as(&net, a_peer());
    let failure = peral_transfer::echo::echo(&dialer, liar.id, liar.address, 3).await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::Integrity, "{failure}");
}

/// I2: no byte reaches a user unless its piece hashed to the signed content.
#[tokio::test(flavor = "multi_thread")]
async fn with_only_liars_it_fails_and_names_piece_and_peer() {
    let net = Issuer::new();
    for size in [MIB / 3, 6 * MIB] {
        let bytes = sample(size);
        let record = net.record("a file", content_of(&bytes), Visibility::Public);
        let liars = [
            start(&net, wrong(&bytes), list_of(&bytes)),
            start(&net, wrong(&bytes), list_of(&bytes)),
        ];
        let getter = Getter::new(&net, &record, &[liars[0].source(), liars[1].source()]);
        let failure = getter.get().await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::Integrity, "{failure}");
        assert!(
            failure.detail.contains("piece ")
                && liars.iter().any(|liar| failure.detail.contains(&liar.id.to_string())),
            "{failure}"
        );
        assert!(!getter.path().exists());
        for liar in &liars {
            assert!(liar.served.load(Ordering::SeqCst) > 0, "each was asked");
            assert!(getter.watcher.noted().contains(&format!("{} at", liar.id)), "each is named");
        }
    }
}

/// I2: no byte reaches a user unless its piece hashed to the signed content.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_does_not_fold_is_taken_from_another() {
    let net = Issuer::new();
    let bytes = sample(5 * MIB);
    let honest = Peer::start(&net).await;
    let record = honest.hold(&net, "a file", &bytes, Visibility::Public).await;
    let right = list_of(&bytes);
    let lists = [
        list_of(&wrong(&bytes)),
        right[..64].to_vec(),
        right[..right.len() - 5].to_vec(),
        [right.clone(), right.clone()].concat(),
        Vec::new(),
    ];
    let liars: Vec<Running> =
        lists.into_iter().map(|list| start(&net, bytes.clone(), list)).collect();
    let mut sources: Vec<Source> = liars.iter().map(Running::source).collect();
    let alone = Getter::new(&net, &record, &sources);
    assert_eq!(alone.get().await.unwrap_err().code, ErrorCode::Integrity);
    sources.push(honest.source());
    let getter = Getter::new(&net, &record, &sources);
    getter.get().await.unwrap();
    assert_eq!(fs::read(getter.path()).unwrap(), bytes);
    assert!(
        liars.iter().all(|liar| getter.watcher.noted().contains(&liar.id.to_string())),
        "{}",
        getter.watcher.noted()
    );
    assert!(
        liars.iter().all(|liar| liar.served.load(Ordering::SeqCst) == 0),
        "who lied about the list is not asked for pieces"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_disk_is_not_a_lie_and_its_copy_is_given_up() {
    let net = Issuer::new();
    let bytes = sample(6 * MIB);
    let (bad, good) = (Peer::start(&net).await, Peer::start(&net).await);
    let record = bad.hold(&net, "a file", &bytes, Visibility::Public).await;
    // Its list is there from before.
    let held = bad.library.find(record.value.file, 1).await.unwrap().unwrap();
    bad.library.piece_list(&held).await.unwrap();
    flip_bit(&bad.path(&record.value.file.to_string()), 3 * PIECE + 9);
    let alone = Getter::new(&net, &record, &[bad.source()]);
    let failure = alone.get().await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::Integrity, "{failure}");
    assert!(
        failure.detail.contains("piece 3") && failure.detail.contains(&bad.id.to_string()),
        "{failure}"
    );
    assert!(!alone.path().exists());
    assert_eq!(
        bad.library.find(record.value.file, 1).await.unwrap().map(|held| held.path),
        None,
        "it offers it no more"
    );

    good.hold_record(&record, &bytes).await;
    alone.finder.sources.lock().unwrap().push(good.source());
    alone.get().await.unwrap();
    assert_eq!(fs::read(alone.path()).unwrap(), bytes);
}
