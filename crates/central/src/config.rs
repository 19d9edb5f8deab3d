//! Central's configuration.

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
    /// A folder of existing keys, such as a mounted Secret, used instead of the keys that central
    /// creates in its own folder.
    pub given_keys: Option<PathBuf>,
    /// Address of the REST interface; port 0 chooses a free port.
    pub listen: SocketAddr,
    /// Address of probes and metrics; port 0 chooses a free port.
    pub admin_listen: SocketAddr,
    /// The database; without it, `central.db` (SQLite) in the data folder.
    pub database_url: Option<SecretString>,
    /// DNS names and addresses for the server certificate, for browsers.
    pub names: Vec<String>,
    /// An existing certificate chain and its key (PEM files), used instead of a certificate of
    /// central's own authority.
    pub tls: Option<GivenTls>,
    /// Peers may register loopback addresses, because everything runs on one machine.
    pub allow_loopback_peers: bool,
    /// How long a login is valid.
    pub session: Duration,
    /// A file with `NAME:PASSWORD` of the first administrator, used only while none exists.
    pub bootstrap_file: Option<PathBuf>,
    /// Pods may join as peers, by their own tokens.
    pub kubernetes: Option<Kubernetes>,
    /// Limits on load.
    pub limits: Limits,
}

/// The pods that may join as peers.
#[derive(Debug, Clone)]
pub struct Kubernetes {
    /// The API server, the credentials of central, and its namespace, which is that of the pods
    /// too.
    pub cluster: Box<kube::Config>,
    /// The audience for which the token of a pod must be issued.
    pub audience: String,
    /// The service account under which they run.
    pub service_account: String,
    /// The account of the catalogue for which they act; created if it does not exist.
    pub account: String,
}

/// An existing certificate.
#[derive(Debug, Clone)]
pub struct GivenTls {
    /// The chain, leaf first (PEM).
    pub certificate: PathBuf,
    /// The private key of the leaf (PEM).
    pub key: PathBuf,
}

/// Limits on the load that central accepts.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Login attempts per minute for one account from one address.
    pub logins_per_account: u32,
    /// Login attempts per minute for one account from all addresses: much higher, or anybody could
    /// lock the owner out.
    pub logins_per_account_in_all: u32,
    /// Login attempts per minute from one address.
    pub logins_per_address: u32,
    /// Proofs (logins, registrations, renewals) per minute from one address.
    pub proofs_per_address: u32,
    /// Nonces per minute for one address.
    pub nonces_per_address: u32,
    /// Password hashes computed at the same time, each in 19 MiB.
    pub hashes_at_once: usize,
    /// Requests handled at the same time, including heartbeats that wait to be written; further
    /// ones get BUSY.
    pub requests: usize,
    /// Open connections.
    pub connections: usize,
    /// Open connections from one address.
    pub connections_per_address: usize,
    /// Deadline of one request.
    pub request: Duration,
    /// Minimum time between two counts of the catalogue for the metrics.
    pub count: Duration,
    /// How long running requests may take to finish during shutdown.
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

    /// For one machine: listens on free ports of 127.0.0.1, and lets peers register there too.
    #[must_use]
    pub fn on_loopback(self) -> Self {
        let free = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        Self { listen: free, admin_listen: free, allow_loopback_peers: true, ..self }
    }

    /// The folder of the keys.
    pub fn keys(&self) -> PathBuf {
        self.given_keys.clone().unwrap_or_else(|| self.data.join("keys"))
    }

    /// The SQLite file that is the default database.
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
