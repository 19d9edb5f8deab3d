//! Arguments of `peral peer`.

mod bytes;
mod central;
mod values;

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use etcetera::BaseStrategy;
use peral_model::Visibility;
use peral_runtime::{Ports, tls::Pin};
use peral_transfer::{limits::Rates, trust::FirstContact};
use peral_wire::{Failure, fail};

pub use self::bytes::bytes;
use self::values::{AdvertiseArg, ShareArg};
use crate::{
    config::{Config, ConfiguredShare},
    secret::{JoinToken, PodToken},
};

/// Usual time between two heartbeats; central drops a peer after three missing ones.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Longest label that is made from a host name, in characters.
const MAX_LABEL: usize = 100;

/// Run a peer: share folders, serve files to others, fetch them.
#[derive(Debug, Args)]
pub struct PeerArgs {
    /// Folder for the peer's key, database and control socket [env: PERAL_DATA] [default:
    /// peral/peer in the user's data folder]
    #[arg(long, env = "PERAL_DATA", value_name = "DIR", hide_env = true)]
    pub data: Option<PathBuf>,
    /// URL of central, such as `https://central:7070`
    #[arg(long, env = "PERAL_CENTRAL", value_name = "URL")]
    pub central: Option<String>,
    /// Certificate (PEM) of central's certificate authority, to verify central at first contact
    #[arg(long, env = "PERAL_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// SHA-256 fingerprint of that certificate, as `peral central init` prints it
    #[arg(long, env = "PERAL_CA_FINGERPRINT", value_name = "HEX", conflicts_with = "ca_file")]
    pub ca_fingerprint: Option<String>,
    /// File with a join token; needed only to register a new key
    #[arg(long, env = "PERAL_JOIN_TOKEN_FILE", value_name = "FILE")]
    pub join_token_file: Option<PathBuf>,
    /// File with this pod's service account token, issued for central's audience: the peer then
    /// joins as this pod and needs no join token
    #[arg(
        long,
        env = "PERAL_POD_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "join_token_file"
    )]
    pub pod_token_file: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, env = "PERAL_PEER_LISTEN_ADDRESS", value_name = "IP", default_value = "0.0.0.0")]
    pub listen_address: IpAddr,
    /// Port to listen on: a number, 0 for any free port, or a range such as 7071-7079, of which
    /// the first free port is taken
    #[arg(long, env = "PERAL_PEER_PORT", value_name = "PORTS", default_value = "7071")]
    pub port: Ports,
    /// Write the address and port that the peer listens on to this file when it is ready
    #[arg(long, env = "PERAL_PEER_ADDRESS_FILE", value_name = "FILE")]
    pub address_file: Option<PathBuf>,
    /// Address at which others reach this peer [default: the address from which this machine
    /// reaches central]
    #[arg(long, env = "PERAL_ADVERTISE", value_name = "IP[:PORT]")]
    pub advertise: Option<AdvertiseArg>,
    /// Address and port for probes and metrics (plain HTTP)
    #[arg(
        long,
        env = "PERAL_PEER_ADMIN_LISTEN",
        value_name = "IP:PORT",
        default_value = "0.0.0.0:7079"
    )]
    pub admin_listen: SocketAddr,
    /// Publish the files of a folder, with names that start with PREFIX; repeat for more folders
    #[arg(long = "share", env = "PERAL_SHARE", value_name = "DIR[=PREFIX]", value_delimiter = ',')]
    pub shares: Vec<ShareArg>,
    /// As --share, but new files are private to the peer's account
    #[arg(
        long = "private-share",
        env = "PERAL_PRIVATE_SHARE",
        value_name = "DIR[=PREFIX]",
        value_delimiter = ','
    )]
    pub private_shares: Vec<ShareArg>,
    /// Seconds between full rescans of the shares, to catch changes that file events missed
    #[arg(
        long, env = "PERAL_PEER_RESCAN", value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub rescan: u32,
    /// Name of this peer in listings [default: the host name]
    #[arg(long, env = "PERAL_PEER_LABEL", value_name = "TEXT")]
    pub label: Option<String>,
    /// Node that this peer runs on; peers on the same node are preferred
    #[arg(long, env = "PERAL_NODE", value_name = "NAME", default_value = "")]
    pub node: String,
    /// Zone that this peer runs in; after its node, peers in the same zone are preferred
    #[arg(long, env = "PERAL_ZONE", value_name = "NAME", default_value = "")]
    pub zone: String,
    /// Connect to peers at loopback addresses, for several peers on one machine
    #[arg(long, env = "PERAL_ALLOW_LOOPBACK")]
    pub allow_loopback: bool,
    /// Enable gRPC reflection
    #[arg(long, env = "PERAL_PEER_REFLECTION")]
    pub reflection: bool,
    /// Limits.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// The limits of a peer.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Maximum bytes per second sent to others, such as 50M; 0 for no limit
    #[arg(
        long, env = "PERAL_UPLOAD_RATE", value_name = "BYTES", default_value = "0",
        value_parser = bytes
    )]
    pub upload_rate: u64,
    /// Maximum bytes per second received from others, such as 50M; 0 for no limit
    #[arg(
        long, env = "PERAL_DOWNLOAD_RATE", value_name = "BYTES", default_value = "0",
        value_parser = bytes
    )]
    pub download_rate: u64,
    /// Maximum number of open connections
    #[arg(
        long,
        env = "PERAL_PEER_MAX_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = 10_000
    )]
    pub max_connections: usize,
    /// Seconds that running transfers may take to finish when the peer is told to stop
    #[arg(long, env = "PERAL_PEER_DRAIN_SECONDS", value_name = "SECONDS", default_value_t = 30)]
    pub drain_seconds: u64,
}

impl PeerArgs {
    /// The configuration that these arguments mean.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, when something is missing or a file cannot be read.
    pub fn config(self) -> Result<Config, Failure> {
        let central = self.central.ok_or_else(|| {
            fail!(
                InvalidArgument,
                "a peer needs the URL of central: give --central URL, or set PERAL_CENTRAL"
            )
        })?;
        let first_contact = first_contact(self.ca_file.as_deref(), self.ca_fingerprint.as_deref())?;
        let public = self.shares.into_iter().map(|share| configured(share, Visibility::Public));
        let private =
            self.private_shares.into_iter().map(|share| configured(share, Visibility::Private));
        let limits = self.limits;
        Ok(Config {
            data: self.data.map_or_else(default_data, Ok)?,
            central: central::address(&central)?,
            first_contact,
            join_token: self.join_token_file.map(JoinToken::File),
            pod_token: self.pod_token_file.map(PodToken),
            listen_address: self.listen_address,
            ports: self.port,
            advertise_ip: self.advertise.map(|given| given.ip),
            advertise_port: self.advertise.and_then(|given| given.port),
            admin_listen: self.admin_listen,
            shares: public.chain(private).collect::<Result<_, _>>()?,
            rescan: Duration::from_secs(self.rescan.into()),
            heartbeat: HEARTBEAT,
            label: self.label.unwrap_or_else(host_name),
            node: self.node,
            zone: self.zone,
            allow_loopback: self.allow_loopback,
            reflection: self.reflection,
            rates: Rates { upload: limits.upload_rate, download: limits.download_rate },
            max_connections: limits.max_connections,
            drain: Duration::from_secs(limits.drain_seconds),
        })
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().chars().take(MAX_LABEL).collect()
}

fn configured(share: ShareArg, visibility: Visibility) -> Result<ConfiguredShare, Failure> {
    let path = std::path::absolute(&share.path)
        .map_err(|error| fail!(InvalidArgument, "--share {}: {error}", share.path.display()))?;
    Ok(ConfiguredShare { path, prefix: share.prefix, visibility })
}

fn first_contact(
    file: Option<&Path>,
    fingerprint: Option<&str>,
) -> Result<Option<FirstContact>, Failure> {
    match (file, fingerprint) {
        (Some(path), _) => {
            let pem = std::fs::read_to_string(path).map_err(|error| {
                fail!(InvalidArgument, "cannot read --ca-file {}: {error}", path.display())
            })?;
            Ok(Some(FirstContact::Authority(pem)))
        }
        (None, Some(text)) => Pin::new(text)
            .map(|pin| Some(FirstContact::Fingerprint(pin)))
            .map_err(|error| fail!(InvalidArgument, "{error}")),
        (None, None) => Ok(None),
    }
}

/// The data folder of this user's peer, where no other is given.
///
/// # Errors
/// INVALID_ARGUMENT, when this user has no data folder.
pub fn default_data() -> Result<PathBuf, Failure> {
    let base = etcetera::choose_base_strategy();
    base.map(|base| base.data_dir().join("peral/peer")).map_err(|error| {
        fail!(InvalidArgument, "this user has no data folder: {error}; give one with --data")
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        peer: PeerArgs,
    }

    fn config(text: &str) -> Result<Config, String> {
        let line =
            Line::try_parse_from(text.split_whitespace()).map_err(|error| error.to_string())?;
        line.peer.config().map_err(|failure| failure.to_string())
    }

    #[test]
    fn flags_become_a_configuration() {
        let text = "peer --data /d --central c:7070 --share /a=models/x --share /b \
            --private-share /p --port 7100-7199 --advertise 10.0.0.7 --upload-rate 50M";
        let config = config(text).unwrap();
        assert_eq!(config.central, "https://c:7070");
        let shares: Vec<_> = config
            .shares
            .iter()
            .map(|share| (share.path.to_str().unwrap(), share.prefix.as_str(), share.visibility))
            .collect();
        assert_eq!(
            shares,
            [
                ("/a", "models/x", Visibility::Public),
                ("/b", "", Visibility::Public),
                ("/p", "", Visibility::Private)
            ]
        );
        assert_eq!(
            (config.advertise_ip, config.advertise_port, config.rates.upload),
            (Some([10, 0, 0, 7].into()), None, 50 << 20)
        );
    }

    #[test]
    fn a_peer_joins_by_a_token_or_as_a_pod() {
        let good = "peer --data /d --central https://c:7070";
        assert_eq!(
            config(&format!("{good} --pod-token-file /t")).unwrap().pod_token,
            Some(PodToken("/t".into()))
        );
        assert!(config(&format!("{good} --pod-token-file /t --join-token-file /j")).is_err());
        let folder = tempfile::tempdir().unwrap();
        let token = PodToken(folder.path().join("token"));
        let named = |read: Result<String, Failure>| {
            read.is_err_and(|failure| failure.detail.contains(&token.0.display().to_string()))
        };
        assert!(named(token.read()));
        std::fs::write(&token.0, "\n").unwrap();
        assert!(named(token.read()));
        for text in ["first", "second\n"] {
            std::fs::write(&token.0, text).unwrap();
            assert_eq!(token.read().as_deref(), Ok(text.trim()));
        }
    }

    #[test]
    fn invalid_arguments_are_refused() {
        let good = "peer --data /d --central https://c:7070";
        assert!(config(good).is_ok());
        for central in ["http://127.0.0.1:7070", "http://[::1]:7070", "http://localhost:7070"] {
            assert!(config(&format!("peer --data /d --central {central}")).is_ok(), "{central}");
        }
        for central in [
            "5",
            "ftp://c",
            "https://",
            "https://c/path",
            "http://c:7070",
            "http://10.0.0.1:7070",
            "http://[fd00::1]:7070",
        ] {
            assert!(config(&format!("peer --data /d --central {central}")).is_err(), "{central}");
        }
        for more in [
            "--port 0-5",
            "--advertise host",
            "--upload-rate 5X",
            "--rescan 0",
            "--share =x",
            "--ca-fingerprint ab",
            "--ca-file /absent/ca.pem",
        ] {
            assert!(config(&format!("{good} {more}")).is_err(), "{more}");
        }
        assert!(config("peer --data /d").is_err_and(|error| error.contains("--central")));
    }
}
