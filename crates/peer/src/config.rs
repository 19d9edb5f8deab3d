//! What a peer runs with.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use peral_model::Visibility;
use peral_runtime::Ports;
use peral_transfer::{limits::Rates, trust::FirstContact};

use crate::secret::{JoinToken, PodToken};

/// A share that the command line names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredShare {
    /// The folder.
    pub path: PathBuf,
    /// Put before each name.
    pub prefix: String,
    /// Visibility of new files.
    pub visibility: Visibility,
}

/// What a peer runs with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// URL of central.
    pub central: String,
    /// How central is verified at first contact; by a public certificate authority where this says
    /// nothing.
    pub first_contact: Option<FirstContact>,
    /// Registers a new key.
    pub join_token: Option<JoinToken>,
    /// Registers this peer as the pod that it runs in.
    pub pod_token: Option<PodToken>,
    /// Where it listens for other peers.
    pub listen_address: IpAddr,
    /// The first free one of these is taken.
    pub ports: Ports,
    /// The address to register, where it is not to be found out.
    pub advertise_ip: Option<IpAddr>,
    /// The port to register, where it is not the one that the peer listens on.
    pub advertise_port: Option<u16>,
    /// Where probes and metrics are served.
    pub admin_listen: SocketAddr,
    /// Folders to publish, besides those that `peral share` added.
    pub shares: Vec<ConfiguredShare>,
    /// Time between full rescans.
    pub rescan: Duration,
    /// Time between heartbeats, give or take a tenth. A lease lasts three usual ones of 10 s.
    pub heartbeat: Duration,
    /// Name of the peer in listings.
    pub label: String,
    /// Where it runs; empty where that is not known.
    pub node: String,
    /// Where it runs; empty where that is not known.
    pub zone: String,
    /// Whether it connects to loopback addresses.
    pub allow_loopback: bool,
    /// Whether it offers gRPC reflection.
    pub reflection: bool,
    /// Limits in bytes per second.
    pub rates: Rates,
    /// Maximum number of open connections.
    pub max_connections: usize,
    /// How long running transfers may take to finish at the end.
    pub drain: Duration,
}
