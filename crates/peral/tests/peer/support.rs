//! A network in this process.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use peral_central::{Central, Config as CentralConfig, Kubernetes};
use peral_model::{FileName, PeerId, Visibility};
use peral_peer::{Config, ConfiguredShare, JoinToken, Peer};
use peral_runtime::{
    Ports, SharedClock, Shutdown, SystemClock,
    tls::{CertStore, KeyPkcs8Der, Pin, install_provider},
};
use peral_testkit::{
    files::write_settled,
    session::{self, LoggedIn, PASSWORD},
    until,
};
use peral_transfer::{
    dial::{Dialer, OutboundPolicy},
    limits::Rates,
    trust::{FirstContact, Network},
};
use peral_wire::{
    Catalogue, ErrorCode, Failure,
    pb::{self, control_service_client::ControlServiceClient},
    rest::{
        accounts::{NewAccount, NewJoinToken, Role},
        files::FileDetail,
        peers::ListedState,
        sessions::Login,
    },
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tonic::transport::{Channel, Endpoint};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Central, and the folder in which everything lives.
pub struct Net {
    pub folder: tempfile::TempDir,
    pub address: SocketAddr,
    kubernetes: Option<Kubernetes>,
    clock: SharedClock,
    shutdown: Shutdown,
    running: Option<tokio::task::JoinHandle<Result<(), Failure>>>,
}

/// Somebody who is logged in.
pub struct User {
    pub api: Catalogue,
    pub login: Login,
    pub key: KeyPkcs8Der,
}

/// A peer that runs.
pub struct Node {
    pub data: PathBuf,
    pub share: PathBuf,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    config: Config,
    shutdown: Shutdown,
    running: Option<tokio::task::JoinHandle<Result<(), Failure>>>,
}

impl Net {
    pub async fn start() -> Self {
        Self::start_with(None, SystemClock::shared()).await
    }

    /// Where pods may join, perhaps, and with another clock for central.
    pub async fn start_with(kubernetes: Option<Kubernetes>, clock: SharedClock) -> Self {
        install_provider();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("first"), format!("root:{PASSWORD}\n")).unwrap();
        let mut net = Self {
            folder,
            address: SocketAddr::new(LOCAL, 0),
            kubernetes,
            clock,
            shutdown: Shutdown::new(),
            running: None,
        };
        net.run().await;
        net
    }

    /// Starts central, where it was before.
    pub async fn run(&mut self) {
        let mut config = CentralConfig {
            bootstrap_file: Some(self.folder.path().join("first")),
            ..CentralConfig::new(self.folder.path().join("central"))
        };
        config.listen = self.address;
        config.admin_listen = SocketAddr::new(LOCAL, 0);
        config.allow_loopback_peers = true;
        config.kubernetes = self.kubernetes.clone();
        config.limits.drain = Duration::from_secs(5);
        let central =
            Central::bind(config, self.clock.clone(), prometheus::Registry::new()).unwrap();
        self.address = central.addr();
        let ready = format!("http://{}/readyz", central.admin_addr());
        self.shutdown = Shutdown::new();
        self.running = Some(tokio::spawn(central.run(self.shutdown.clone())));
        until("central is ready", async || {
            reqwest::get(&ready).await.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }

    pub async fn stop(&mut self) {
        self.shutdown.drain();
        self.running.take().unwrap().await.unwrap().unwrap();
    }

    pub fn client(&self) -> Catalogue {
        Catalogue::new(
            &format!("http://{}", self.address),
            reqwest::Client::new(),
            |_| {},
            Duration::from_secs(20),
        )
    }

    pub fn base(&self) -> String {
        format!("https://{}", self.address)
    }

    pub async fn log_in(&self, name: &str) -> User {
        let client = self.client();
        let LoggedIn { login, key } =
            session::log_in(&client, session::password(name)).await.unwrap();
        User { api: client.with_token(&login.credentials.token), login, key }
    }

    /// A member who is logged in.
    pub async fn member(&self, name: &str) -> User {
        let account =
            NewAccount { name: name.into(), role: Role::Member, password: Some(PASSWORD.into()) };
        self.log_in("root").await.api.add_account(&account).await.unwrap();
        self.log_in(name).await
    }

    /// A peer of an account, with a share of its own, that is registered.
    pub async fn peer(&self, account: &str, name: &str) -> Node {
        self.peer_with(account, name, |_| {}).await
    }

    pub async fn peer_with(
        &self,
        account: &str,
        name: &str,
        change: impl FnOnce(&mut Config),
    ) -> Node {
        let mut config = self.config(account, name).await;
        change(&mut config);
        let node = Node::start(config).await;
        node.until_ready().await;
        node
    }

    pub async fn config(&self, account: &str, name: &str) -> Config {
        let token =
            NewJoinToken { label: name.into(), account: account.into(), uses: 1, ends_ms: None };
        let token = self.log_in("root").await.api.add_join_token(&token).await.unwrap().secret;
        let fingerprint = self.client().ca().await.unwrap().fingerprint;
        let root = self.folder.path().canonicalize().unwrap();
        Config {
            data: root.join(name),
            central: self.base(),
            first_contact: Some(FirstContact::Fingerprint(Pin::new(&fingerprint).unwrap())),
            join_token: Some(JoinToken::Secret(token)),
            pod_token: None,
            listen_address: LOCAL,
            ports: Ports::one(0),
            advertise_ip: None,
            advertise_port: None,
            admin_listen: SocketAddr::new(LOCAL, 0),
            shares: vec![ConfiguredShare {
                path: root.join(format!("{name}-share")),
                prefix: String::new(),
                visibility: Visibility::Public,
            }],
            rescan: Duration::from_secs(1),
            heartbeat: Duration::from_millis(300),
            label: name.into(),
            node: String::new(),
            zone: String::new(),
            allow_loopback: true,
            reflection: false,
            rates: Rates::default(),
            max_connections: 100,
            drain: Duration::from_secs(10),
        }
    }
}

impl User {
    /// The file of a name, when it is there and `fits`.
    pub async fn until_file(&self, name: &str, fits: impl Fn(&FileDetail) -> bool) -> FileDetail {
        let name = FileName::new(name).unwrap();
        let found = async || self.api.file(&name).await.ok().filter(|detail| fits(detail));
        until(&format!("the file {name}"), found).await
    }

    /// Calls peers with this user's certificate.
    pub async fn dialer(&self, net: &Net) -> Dialer {
        let pin = Pin::new(&net.client().ca().await.unwrap().fingerprint).unwrap();
        let network =
            Network::contact(&net.base(), &FirstContact::Fingerprint(pin), |_| {}).await.unwrap();
        let certs = CertStore::shared();
        let chain = CertificateDer::pem_slice_iter(self.login.credentials.certificate.as_bytes())
            .collect::<Result<_, _>>()
            .unwrap();
        certs.set(chain, &self.key).unwrap();
        Dialer::new(certs, network.roots().unwrap(), OutboundPolicy { allow_loopback: true })
    }
}

impl Node {
    pub async fn start(config: Config) -> Self {
        let shutdown = Shutdown::new();
        let peer = Peer::bind(config.clone(), SystemClock::shared(), prometheus::Registry::new())
            .await
            .unwrap();
        let (address, admin) = (peer.addr(), peer.admin_addr());
        let running = tokio::spawn(peer.run(shutdown.clone()));
        let share = config.shares.first().map(|share| share.path.clone()).unwrap_or_default();
        Self {
            data: config.data.clone(),
            share,
            address,
            admin,
            config,
            shutdown,
            running: Some(running),
        }
    }

    /// Ends as SIGTERM ends it.
    pub async fn stop(&mut self) -> Config {
        self.shutdown.drain();
        self.running.take().unwrap().await.unwrap().unwrap();
        self.config.clone()
    }

    /// Why it ended by itself.
    pub async fn fails(mut self) -> Failure {
        self.running.take().unwrap().await.unwrap().unwrap_err()
    }

    pub fn runs(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.is_finished())
    }

    pub async fn is_ready(&self) -> bool {
        reqwest::get(format!("http://{}/readyz", self.admin))
            .await
            .is_ok_and(|answer| answer.status() == 200)
    }

    pub async fn until_ready(&self) {
        until("the peer is ready and registered", async || {
            let registered = self
                .status()
                .await
                .is_some_and(|status| status.state == "ready" || status.state == "full");
            registered && self.is_ready().await
        })
        .await;
    }

    pub async fn control(&self) -> Option<ControlServiceClient<Channel>> {
        let endpoint =
            Endpoint::from_shared(format!("unix:{}", self.data.join("peral.sock").display()))
                .unwrap();
        endpoint.connect().await.ok().map(ControlServiceClient::new)
    }

    pub async fn status(&self) -> Option<pb::StatusResponse> {
        self.control()
            .await?
            .status(pb::StatusRequest {})
            .await
            .ok()
            .map(tonic::Response::into_inner)
    }

    pub async fn id(&self) -> PeerId {
        PeerId::from_bytes(&self.status().await.unwrap().peer).unwrap()
    }

    /// Waits for a trouble with a name in the status.
    pub async fn until_trouble(&self, name: &str, code: ErrorCode) {
        let found = async || {
            let status = self.status().await?;
            status
                .troubles
                .into_iter()
                .find(|trouble| trouble.name == name && trouble.code == code.as_str())
        };
        until(&format!("{code} for {name}"), found).await;
    }

    /// Writes a file of the share that looks as if it had been left alone for a while.
    pub fn write(&self, below: &str, bytes: &[u8]) -> PathBuf {
        write_settled(&self.share.join(below), bytes)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shutdown.kill();
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.shutdown.kill();
    }
}

/// State of a peer in central's list.
pub async fn listed(admin: &User, id: PeerId) -> Option<ListedState> {
    admin
        .api
        .peers()
        .await
        .unwrap()
        .items
        .into_iter()
        .find(|peer| peer.id == id)
        .map(|peer| peer.state)
}
