//! A network without central: an authority, signing keys, peers that serve, and one who fetches.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::{rand::SystemRandom, signature::Ed25519KeyPair};
use futures::future::BoxFuture;
use peral_model::{
    AccountId, Content, ContentId, FileId, FileName, Grant, Identity, NetworkId, PeerId, Record,
    Ticket, UploadId, Verb, Visibility,
};
use peral_peer::{
    DataDir, Db, FinishedDownload, Library, Link, PeerService, RegisteredPeer, Rights,
};
use peral_runtime::{
    Clock, Shutdown, SystemClock,
    serve::{Listener, ServeConfig, serve},
    tls::{
        Alpn, Authority, CertStore, ClientAuth, Purpose, TrustRoots, new_key, server_config,
        signing_request,
    },
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
    Failure, Sealed,
    keys::{Jwks, KeyUse, SigningKey, Verifier},
    pb,
    pb::peer_service_client::PeerServiceClient,
    rest::files::Source,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use uuid::Uuid;

pub const MIB: usize = 1 << 20;

pub fn now_ms() -> i64 {
    SystemClock::new().now_ms()
}

/// Bytes in which no two pieces are alike.
pub fn sample(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&size.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

/// Waits until something is so.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never happened: {what}"));
}

pub struct Net {
    pub authority: Authority,
    pub key: SigningKey,
    pub network: NetworkId,
    pub account: AccountId,
}

impl Net {
    pub fn new() -> Self {
        let network = NetworkId(Uuid::new_v4());
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self {
            authority: Authority::generate(network, now_ms() - 1000).unwrap(),
            key: SigningKey::from_pkcs8(der.as_ref(), KeyUse::Record).unwrap(),
            network,
            account: AccountId(Uuid::new_v4()),
        }
    }

    pub fn verifier(&self) -> Verifier {
        Verifier::new(&Jwks { keys: vec![self.key.public()] }, KeyUse::Record)
    }

    pub fn roots(&self) -> TrustRoots {
        TrustRoots::authority(self.authority.certificate().clone()).unwrap()
    }

    pub fn certs(&self, identity: Identity) -> Arc<CertStore> {
        let key = new_key();
        let purpose =
            if matches!(identity, Identity::User(_)) { Purpose::Client } else { Purpose::Peer };
        let csr = signing_request(&key).unwrap();
        let leaf = self
            .authority
            .issue(
                &csr,
                &identity,
                Some(self.account),
                purpose,
                now_ms() - 60_000,
                Duration::from_secs(3600),
            )
            .unwrap();
        let certs = CertStore::shared();
        certs.set(self.authority.chain(leaf), &key).unwrap();
        certs
    }

    pub fn dialer(&self, identity: Identity) -> Dialer {
        Dialer::new(self.certs(identity), self.roots(), OutboundPolicy { allow_loopback: true })
    }

    pub fn record(&self, name: &str, content: Content, visibility: Visibility) -> Sealed<Record> {
        let record = Record {
            file: FileId(Uuid::new_v4()),
            name: FileName::new(name).unwrap(),
            version: 1,
            content,
            owner: self.account,
            visibility,
            serial: 1,
            published_ms: now_ms(),
        };
        Sealed::seal(record, &self.key)
    }

    pub fn grant(&self, record: &Record, bearer: Identity) -> Sealed<Grant> {
        let (account, now) = (self.account, now_ms());
        let grant = Grant {
            record: record.clone(),
            verbs: vec![Verb::Get],
            account,
            bearer,
            expires_ms: now + 600_000,
            asked_ms: now,
        };
        Sealed::seal(grant, &self.key)
    }

    pub fn ticket(
        &self,
        peer: PeerId,
        bearer: Identity,
        name: &str,
        max_size: u64,
    ) -> Sealed<Ticket> {
        let ticket = Ticket {
            upload: UploadId(Uuid::new_v4()),
            peer,
            name: FileName::new(name).unwrap(),
            max_size,
            visibility: Visibility::Public,
            account: self.account,
            bearer,
            expires_ms: now_ms() + 600_000,
        };
        Sealed::seal(ticket, &self.key)
    }
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
    pub async fn start(net: &Net) -> Self {
        Self::with(net, Limits::default(), "http://127.0.0.1:1").await
    }

    pub async fn with(net: &Net, limits: Limits, central: &str) -> Self {
        Self::on(Disk::default(), net, limits, central).await
    }

    pub async fn on(disk: Disk, net: &Net, limits: Limits, central: &str) -> Self {
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
        net: &Net,
        name: &str,
        bytes: &[u8],
        visibility: Visibility,
    ) -> Sealed<Record> {
        let content = Content { hash: ContentId::of(bytes), size: bytes.len() as u64 };
        let record = net.record(name, content, visibility);
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

pub fn listen(net: &Net, certs: &Arc<CertStore>, router: axum::Router) -> (SocketAddr, Shutdown) {
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
    pub fn new(net: &Net, record: &Sealed<Record>, sources: &[Source]) -> Self {
        Self::showing(net, record, None, sources, Identity::Peer(PeerId(Uuid::new_v4())))
    }

    pub fn showing(
        net: &Net,
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
            dialer: net.dialer(identity),
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
        tokio::time::timeout(Duration::from_secs(60), running).await.expect("a download ends")
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
