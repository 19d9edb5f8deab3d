//! A network without central: peers that serve, and one who fetches.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use peral_model::{Grant, Identity, PeerId, Record, Visibility};
use peral_peer::{
    DataDir, Db, FinishedDownload, Library, Link, PeerService, RegisteredPeer, Rights,
};
use peral_runtime::{
    Shutdown, SystemClock,
    serve::{Listener, ServeConfig, serve},
    tls::{Alpn, CertStore, ClientAuth, server_config},
};
use peral_testkit::{
    PATIENCE,
    identity::{Issuer, a_peer, content_of},
    sample::MIB,
};
use peral_transfer::{
    Here, Registry, Stamp,
    dial::{Dialer, OutboundPolicy},
    disk::Disk,
    fetch::{self, DiskRoom, FetchDeps, FetchRequest, Fetched, KnownSources, Room, SourceFinder},
    limits::Limits,
    lists::ListStore,
    metrics::Metrics,
    progress::{Observer, Progress},
};
use peral_wire::{
    Failure, Sealed, pb, pb::peer_service_client::PeerServiceClient, rest::files::Source,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use uuid::Uuid;

/// Calls peers of this network as this identity.
pub fn dial_as(net: &Issuer, identity: Identity) -> Dialer {
    Dialer::new(net.certs(identity), net.roots(), OutboundPolicy { allow_loopback: true })
}

/// A peer that serves what it holds.
pub struct Peer {
    pub id: PeerId,
    pub address: SocketAddr,
    pub library: Library,
    pub limits: Limits,
    pub clock: Arc<SystemClock>,
    shutdown: Shutdown,
    dir: TempDir,
}

impl Peer {
    pub async fn start(net: &Issuer) -> Self {
        Self::with(net, Limits::default(), "http://127.0.0.1:1").await
    }

    pub async fn with(net: &Issuer, limits: Limits, central: &str) -> Self {
        Self::on(Disk::default(), net, limits, central).await
    }

    pub async fn on(disk: Disk, net: &Issuer, limits: Limits, central: &str) -> Self {
        let (dir, id, clock) =
            (tempfile::tempdir().unwrap(), PeerId(Uuid::new_v4()), Arc::new(SystemClock::new()));
        let data = DataDir::open(&dir.path().join("data")).unwrap().on(disk);
        std::fs::create_dir(dir.path().join("files")).unwrap();
        let db = Db::open(&data.file("peer.db")).await.unwrap();
        let link = Link::new(central, clock.clone());
        link.set_registration(RegisteredPeer {
            peer: id,
            epoch: 1,
            account: net.account,
            network: net.network,
        });
        let rights =
            Rights::open(db.clone(), clock.clone(), link.clone(), net.verifier()).await.unwrap();
        let library = Library::new(data, db, rights, link, clock.clone()).unwrap();
        let certs = net.certs(Identity::Peer(id));
        let service = PeerService::new(library.clone(), limits.clone(), Metrics::new());
        let (address, shutdown) = listen(net, &certs, service.router());
        Self { id, address, library, limits, clock, shutdown, dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("files").join(name)
    }

    /// Holds these bytes as a file of its own.
    pub async fn hold(
        &self,
        net: &Issuer,
        name: &str,
        bytes: &[u8],
        visibility: Visibility,
    ) -> Sealed<Record> {
        let record = net.record(name, content_of(bytes), visibility);
        self.hold_record(&record, bytes).await;
        record
    }

    /// Holds what it says are the bytes of this record.
    pub async fn hold_record(&self, record: &Sealed<Record>, bytes: &[u8]) {
        let path = self.path(&record.value.file.to_string());
        std::fs::write(&path, bytes).unwrap();
        let stamp = Stamp::of(&std::fs::File::open(&path).unwrap()).unwrap();
        self.library.adopt(FinishedDownload { record: record.clone(), path, stamp }).await.unwrap();
    }

    pub fn source(&self) -> Source {
        source(self.id, self.address)
    }

    /// Gone at once, as by kill -9.
    pub fn kill(&self) {
        self.shutdown.kill();
    }

    pub async fn client(&self, dialer: &Dialer) -> PeerServiceClient<Channel> {
        PeerServiceClient::new(dialer.channel(self.id, self.address).await.unwrap())
            .max_decoding_message_size(8 * MIB)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn listen(
    net: &Issuer,
    certs: &Arc<CertStore>,
    router: axum::Router,
) -> (SocketAddr, Shutdown) {
    let listener = Listener::bind(IpAddr::V4(Ipv4Addr::LOCALHOST), 0).unwrap();
    let (address, shutdown) = (listener.local_addr(), Shutdown::new());
    let tls = server_config(Arc::clone(certs), ClientAuth::Required(net.roots()), Alpn::Http2);
    tokio::spawn(serve(listener, ServeConfig::peer(), Some(tls), router, shutdown.clone()));
    (address, shutdown)
}

pub fn source(peer: PeerId, address: SocketAddr) -> Source {
    Source {
        peer,
        address: address.to_string(),
        node: String::new(),
        zone: String::new(),
        complete: true,
    }
}

pub fn shown(record: &Sealed<Record>, grant: Option<&Sealed<Grant>>) -> pb::FileRef {
    pb::FileRef {
        file_id: record.value.file.to_vec().into(),
        version: record.value.version,
        record: Some(record.envelope.clone()),
        grant: grant.map(|grant| grant.envelope.clone()),
    }
}

/// Names the sources that a test puts in.
pub struct Named {
    pub record: Sealed<Record>,
    pub grant: Option<Sealed<Grant>>,
    pub sources: Mutex<Vec<Source>>,
    pub away: AtomicU64,
    /// What it answers from now on.
    pub refuses: Mutex<Option<Failure>>,
}

impl SourceFinder for Named {
    fn sources(&self) -> BoxFuture<'_, Result<KnownSources, Failure>> {
        if let Some(failure) = self.refuses.lock().unwrap().clone() {
            return Box::pin(std::future::ready(Err(failure)));
        }
        let sources = self.sources.lock().unwrap().clone();
        let grant = self.grant.as_ref().map(|grant| grant.envelope.clone());
        Box::pin(async move {
            Ok(KnownSources {
                record: self.record.clone(),
                grant,
                sources,
                away: self.away.load(Ordering::SeqCst),
            })
        })
    }
}

/// Remembers what it is told.
#[derive(Default)]
pub struct Watcher {
    pub notes: Mutex<Vec<String>>,
    pub last: Mutex<Option<Progress>>,
}

impl Watcher {
    pub fn done(&self) -> u64 {
        self.last.lock().unwrap().map_or(0, |progress| progress.done)
    }

    pub fn noted(&self) -> String {
        self.notes.lock().unwrap().join("\n")
    }
}

impl Observer for Watcher {
    fn progress(&self, progress: &Progress) {
        *self.last.lock().unwrap() = Some(*progress);
    }

    fn note(&self, text: &str) {
        self.notes.lock().unwrap().push(text.to_owned());
    }
}

/// One who fetches a file version.
pub struct Getter {
    pub finder: Arc<Named>,
    pub watcher: Arc<Watcher>,
    pub request: FetchRequest,
    pub deps: FetchDeps,
    pub dir: TempDir,
}

impl Getter {
    pub fn new(net: &Issuer, record: &Sealed<Record>, sources: &[Source]) -> Self {
        Self::showing(net, record, None, sources, a_peer())
    }

    pub fn showing(
        net: &Issuer,
        record: &Sealed<Record>,
        grant: Option<Sealed<Grant>>,
        sources: &[Source],
        identity: Identity,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let shown = grant.as_ref().map(|grant| grant.envelope.clone());
        let finder = Arc::new(Named {
            record: record.clone(),
            grant,
            sources: Mutex::new(sources.to_vec()),
            away: AtomicU64::new(0),
            refuses: Mutex::default(),
        });
        std::fs::create_dir(dir.path().join("target")).unwrap();
        let request = FetchRequest {
            record: record.clone(),
            grant: shown,
            sources: Vec::new(),
            path: dir.path().join("target/file"),
            overwrite: false,
            wait: Duration::from_secs(3),
        };
        let deps = FetchDeps {
            dialer: dial_as(net, identity),
            finder: finder.clone(),
            lists: ListStore::new(&dir.path().join("lists")).unwrap(),
            limits: Limits::default(),
            registry: Registry::default(),
            room: Arc::new(DiskRoom),
            here: Here::default(),
            metrics: Metrics::new(),
            seed: || 7,
        };
        Self { finder, watcher: Arc::default(), request, deps, dir }
    }

    #[must_use]
    pub fn with_registry(mut self, registry: &Registry) -> Self {
        self.deps.registry = registry.clone();
        self
    }

    pub fn with_room(mut self, room: impl Room) -> Self {
        self.deps.room = Arc::new(room);
        self
    }

    pub async fn get(&self) -> Result<Fetched, Failure> {
        self.get_until(CancellationToken::new()).await
    }

    pub async fn get_until(&self, cancel: CancellationToken) -> Result<Fetched, Failure> {
        let running = fetch::fetch(self.request.clone(), &self.deps, self.watcher.clone(), cancel);
        tokio::time::timeout(PATIENCE, running).await.expect("a download ends")
    }

    pub fn path(&self) -> &Path {
        &self.request.path
    }

    /// What lies in the target's folder.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path().join("target")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}
