//! A central to talk to, and callers that talk to it.

use std::{path::Path, sync::Arc, time::Duration};

use peral_central::{Central, Config, Keys};
use peral_model::{ContentId, Identity, NetworkId, Visibility};
use peral_runtime::{
    MockClock, Shutdown,
    tls::{KeyPkcs8Der, install_provider, new_key},
};
pub use peral_testkit::session::{PASSWORD, csr};
use peral_testkit::{
    session::{self, LoggedIn},
    until,
};
use peral_wire::{
    Catalogue, ErrorCode, Failure,
    keys::{KeyUse, Verifier},
    proof::Proven,
    rest::{
        accounts::{NewAccount, NewApiToken, NewJoinToken, Role},
        files::{NewVersion, Publish, PublishResult},
        holdings::{Delta, Deltas, Extent, VersionRef},
        peers::{Heartbeat, HeartbeatAnswer, PeerState, RegisterRequest, Registration},
        sessions::{Credential, Login, RenewRequest},
    },
};

pub const NOW: i64 = 1_800_000_000_000;

pub struct Net {
    pub base: String,
    pub admin_base: String,
    pub clock: Arc<MockClock>,
    pub folder: tempfile::TempDir,
    shutdown: Shutdown,
    running: Option<tokio::task::JoinHandle<Result<(), Failure>>>,
}

pub fn config(folder: &Path) -> Config {
    let bootstrap = folder.join("first");
    std::fs::write(&bootstrap, format!("root:{PASSWORD}\n")).unwrap();
    let mut config = Config {
        bootstrap_file: Some(bootstrap),
        ..Config::new(folder.join("central")).on_loopback()
    };
    config.limits.logins_per_address = 100_000;
    config.limits.logins_per_account = 100_000;
    config.limits.logins_per_account_in_all = 100_000;
    config.limits.proofs_per_address = 100_000;
    config.limits.nonces_per_address = 100_000;
    config.limits.drain = Duration::from_secs(5);
    config
}

impl Net {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::begin(NOW, change).await
    }

    /// With a clock that shows this time.
    pub async fn start_at(now_ms: i64) -> Self {
        Self::begin(now_ms, |_| {}).await
    }

    async fn begin(now_ms: i64, change: impl FnOnce(&mut Config)) -> Self {
        install_provider();
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        change(&mut config);
        let clock = Arc::new(MockClock::new(now_ms));
        let mut net = Self {
            base: String::new(),
            admin_base: String::new(),
            clock,
            folder,
            shutdown: Shutdown::new(),
            running: None,
        };
        net.run(config);
        net.wait_ready().await;
        net
    }

    fn run(&mut self, config: Config) {
        let central =
            Central::bind(config, self.clock.clone(), prometheus::Registry::new()).unwrap();
        self.base = format!("http://{}", central.addr());
        self.admin_base = format!("http://{}", central.admin_addr());
        self.shutdown = Shutdown::new();
        self.running = Some(tokio::spawn(central.run(self.shutdown.clone())));
    }

    /// Stops it as SIGTERM would, and starts it again on the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again(config(self.folder.path())).await;
    }

    pub async fn start_again(&mut self, config: Config) {
        self.run(config);
        self.wait_ready().await;
    }

    pub async fn stop(&mut self) {
        self.shutdown.drain();
        self.running.take().unwrap().await.unwrap().unwrap();
    }

    pub async fn wait_ready(&self) {
        let url = format!("{}/readyz", self.admin_base);
        until("central is ready", async || {
            reqwest::get(&url).await.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }

    pub fn client(&self) -> Catalogue {
        Catalogue::new(&self.base, reqwest::Client::new(), |_| {}, Duration::from_secs(30))
    }

    pub fn keys(&self) -> Keys {
        Keys::open(&self.folder.path().join("central/keys")).unwrap()
    }

    pub async fn network(&self) -> NetworkId {
        self.client().ca().await.unwrap().network
    }

    pub async fn verifier(&self) -> Verifier {
        Verifier::new(&self.client().jwks().await.unwrap(), KeyUse::Record)
    }

    pub async fn root(&self) -> User {
        self.log_in("root").await.unwrap()
    }

    pub async fn log_in(&self, name: &str) -> Result<User, Failure> {
        self.log_in_with(session::password(name)).await
    }

    pub async fn log_in_with(&self, credential: Credential) -> Result<User, Failure> {
        self.log_in_from([127, 0, 0, 1], credential).await
    }

    /// As `log_in_with`, from another address of this machine.
    pub async fn log_in_from(
        &self,
        from: [u8; 4],
        credential: Credential,
    ) -> Result<User, Failure> {
        let http =
            reqwest::Client::builder().local_address(std::net::IpAddr::from(from)).build().unwrap();
        let central = Catalogue::new(&self.base, http, |_| {}, Duration::from_secs(30));
        let LoggedIn { login, key } = session::log_in(&central, credential).await?;
        Ok(User { api: self.client().with_token(&login.credentials.token), login, key })
    }

    /// Signs a request with a fresh nonce.
    pub async fn prove<T: serde::Serialize>(&self, request: &T, key: &KeyPkcs8Der) -> Proven {
        session::prove(&self.client(), request, key).await
    }

    /// A member with the usual password, logged in.
    pub async fn member(&self, name: &str) -> User {
        self.account(name, Role::Member).await;
        self.log_in(name).await.unwrap()
    }

    pub async fn account(&self, name: &str, role: Role) {
        let account = NewAccount { name: name.into(), role, password: Some(PASSWORD.into()) };
        self.root().await.api.add_account(&account).await.unwrap();
    }

    pub async fn join_token(&self, account: &str, uses: u32) -> String {
        let token =
            NewJoinToken { label: "t".into(), account: account.into(), uses, ends_ms: None };
        self.root().await.api.add_join_token(&token).await.unwrap().secret
    }

    pub async fn api_token(&self, account: &str) -> String {
        let token = NewApiToken { label: "t".into(), account: Some(account.into()), ends_ms: None };
        self.root().await.api.add_api_token(&token).await.unwrap().secret
    }

    /// A peer of this account, registered.
    pub async fn peer(&self, account: &str) -> Peer {
        let token = self.join_token(account, 1).await;
        self.register(new_key(), Some(token)).await.unwrap()
    }

    pub async fn register(
        &self,
        key: KeyPkcs8Der,
        join_token: Option<String>,
    ) -> Result<Peer, Failure> {
        self.register_at(key, join_token, "127.0.0.1:7071").await
    }

    pub async fn register_at(
        &self,
        key: KeyPkcs8Der,
        join_token: Option<String>,
        address: &str,
    ) -> Result<Peer, Failure> {
        let proof = self.prove(&registration(&key, join_token, address), &key).await;
        let done = self.client().register(&proof).await?;
        Ok(Peer {
            api: self.client().with_token(&done.credentials.token),
            id: done.peer,
            done,
            key,
        })
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.shutdown.kill();
    }
}

pub fn registration(
    key: &KeyPkcs8Der,
    join_token: Option<String>,
    address: &str,
) -> RegisterRequest {
    let (node, zone) = (String::new(), String::new());
    RegisterRequest {
        csr: csr(key),
        join_token,
        pod_token: None,
        address: address.into(),
        label: "test".into(),
        node,
        zone,
        version: "0".into(),
    }
}

pub struct User {
    pub api: Catalogue,
    pub login: Login,
    pub key: KeyPkcs8Der,
}

pub struct Peer {
    pub api: Catalogue,
    pub id: peral_model::PeerId,
    pub done: Registration,
    pub key: KeyPkcs8Der,
}

impl User {
    pub fn identity(&self) -> Identity {
        Identity::User(self.login.session)
    }

    pub fn renewal(&self) -> RenewRequest {
        RenewRequest {
            identity: self.identity(),
            csr: csr(&self.key),
            epoch: None,
            pod_token: None,
        }
    }
}

impl Peer {
    pub fn identity(&self) -> Identity {
        Identity::Peer(self.id)
    }

    pub async fn beat(&self, state: PeerState, obeyed: u64) -> Result<HeartbeatAnswer, Failure> {
        self.api.heartbeat(&Heartbeat { state, room: 1 << 40, last_delta: 0, obeyed }).await
    }

    /// Publishes one file and reports that this peer holds it. The content is the text.
    pub async fn share(
        &self,
        name: &str,
        text: &str,
        visibility: Visibility,
    ) -> Result<peral_model::Record, Failure> {
        let record = self.publish(name, text, visibility, None).await?;
        let last = self.beat(PeerState::Ready, u64::MAX >> 1).await?.last_delta;
        let version = VersionRef { file: record.file, version: record.version };
        self.api
            .index(&Deltas { first: last + 1, deltas: vec![Delta { version, held: Extent::All }] })
            .await?;
        Ok(record)
    }

    pub async fn publish(
        &self,
        name: &str,
        text: &str,
        visibility: Visibility,
        replaces: Option<VersionRef>,
    ) -> Result<peral_model::Record, Failure> {
        let hash = ContentId::of(text.as_bytes());
        let file = NewVersion {
            name: name.into(),
            hash,
            size: text.len() as u64,
            visibility,
            replaces,
            upload: None,
        };
        let publish =
            Publish { idempotency_key: uuid::Uuid::new_v4().to_string(), files: vec![file] };
        match self.api.publish(&publish).await?.results.remove(0) {
            PublishResult::Record(envelope) => Ok(read_record(&envelope)),
            PublishResult::Problem(problem) => Err(problem.into()),
        }
    }
}

pub fn read_record(envelope: &str) -> peral_model::Record {
    use peral_wire::envelope::Sealable;
    peral_model::Record::decode(&peral_wire::envelope::envelope_from_text(envelope).unwrap().body)
        .unwrap()
}

/// The code of a failure; without one the test fails.
#[track_caller]
pub fn code<T>(result: Result<T, Failure>) -> ErrorCode {
    match result {
        Err(failure) => failure.code,
        Ok(_) => panic!("this should have been refused"),
    }
}
