//! What central is told at its start.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use secrecy::SecretString;

/// Central's configuration. [`Config::new`] gives the defaults for a data folder; set fields to
/// change them.
#[derive(Debug, Clone)]
pub struct Config {
    /// Central's folder: keys, and the SQLite file.
    pub data: PathBuf,
    /// A folder of keys that somebody else made, such as a mounted Secret, in place of those that
    /// central makes in its own.
    pub given_keys: Option<PathBuf>,
    /// Where the REST interface listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where probes and metrics are served; port 0 takes a free one.
    pub admin_listen: SocketAddr,
    /// The database; without it, `central.db` (SQLite) in the data folder.
    pub database_url: Option<SecretString>,
    /// DNS names and addresses for the server certificate, for browsers.
    pub names: Vec<String>,
    /// A given certificate chain and its key (PEM files), in place of one of the own authority.
    pub tls: Option<GivenTls>,
    /// Peers may register loopback addresses: everything runs on one machine.
    pub allow_loopback_peers: bool,
    /// For how long a login lasts.
    pub session: Duration,
    /// A file with `name:password` of the first administrator; read once, when there is none.
    pub bootstrap_file: Option<PathBuf>,
    /// Pods may join as peers, by their own tokens.
    pub kubernetes: Option<Kubernetes>,
    /// How much of everything.
    pub limits: Limits,
}

/// The pods that may join as peers.
#[derive(Debug, Clone)]
pub struct Kubernetes {
    /// The API server, who central is there, and its namespace: that of the pods too.
    pub cluster: Box<kube::Config>,
    /// The audience that a pod's token must be for.
    pub audience: String,
    /// The service account that they run under.
    pub service_account: String,
    /// The account of the catalogue that they work for; made where it is missing.
    pub account: String,
}

/// A certificate that somebody else made.
#[derive(Debug, Clone)]
pub struct GivenTls {
    /// The chain, leaf first (PEM).
    pub certificate: PathBuf,
    /// The private key of the leaf (PEM).
    pub key: PathBuf,
}

/// How much of everything central takes on.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Logins tried for one account from one address in a minute.
    pub logins_per_account: u32,
    /// Logins tried for one account from all addresses in a minute: many more, or anybody could
    /// keep the account's owner out.
    pub logins_per_account_in_all: u32,
    /// Logins tried from one address in a minute.
    pub logins_per_address: u32,
    /// Proofs (logins, registrations, renewals) tried from one address in a minute.
    pub proofs_per_address: u32,
    /// Nonces given to one address in a minute.
    pub nonces_per_address: u32,
    /// Password hashes made at once, each of 19 MiB.
    pub hashes_at_once: usize,
    /// Requests worked on at once, heartbeats that wait to be written among them; more get BUSY.
    pub requests: usize,
    /// Connections held at once.
    pub connections: usize,
    /// Connections held at once from one address.
    pub connections_per_address: usize,
    /// Longest time for one request.
    pub request: Duration,
    /// Between two counts of the catalogue for the metrics, at least.
    pub count: Duration,
    /// How long requests may still run after the drain began.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            logins_per_account: 10,
            logins_per_account_in_all: 100,
            logins_per_address: 60,
            proofs_per_address: 1200,
            nonces_per_address: 2400,
            hashes_at_once: 4,
            requests: 4096,
            connections: 20_000,
            connections_per_address: 4096,
            request: Duration::from_secs(20),
            count: Duration::from_secs(60),
            drain: Duration::from_secs(20),
        }
    }
}

impl Config {
    /// The defaults for a data folder.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            data: data.into(),
            given_keys: None,
            listen: SocketAddr::new(any, 7070),
            admin_listen: SocketAddr::new(any, 7079),
            database_url: None,
            names: vec![],
            tls: None,
            allow_loopback_peers: false,
            session: Duration::from_hours(30 * 24),
            bootstrap_file: None,
            kubernetes: None,
            limits: Limits::default(),
        }
    }

    /// For one machine: free ports of 127.0.0.1, where peers may register too.
    #[must_use]
    pub fn on_loopback(self) -> Self {
        let free = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        Self { listen: free, admin_listen: free, allow_loopback_peers: true, ..self }
    }

    /// The folder of the keys.
    pub fn keys(&self) -> PathBuf {
        self.given_keys.clone().unwrap_or_else(|| self.data.join("keys"))
    }

    /// The SQLite file that is the database where no other is given.
    pub fn database_file(&self) -> PathBuf {
        self.data.join("central.db")
    }

    /// The URL of the database.
    pub fn database(&self) -> SecretString {
        self.database_url.clone().unwrap_or_else(|| {
            SecretString::from(format!("sqlite:{}", self.database_file().display()))
        })
    }
}
