//! Arguments of `peral peer`.

mod bytes;

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::Args;
use etcetera::BaseStrategy;
use peral_model::Visibility;
use peral_runtime::{Ports, tls::Pin};
use peral_transfer::{limits::Rates, trust::FirstContact};
use peral_wire::{Failure, fail};

pub use self::bytes::bytes;

/// Run a peer: share folders, serve files to others, fetch them.
#[derive(Debug, Args)]
pub struct PeerArgs {
    /// Folder for the peer's key, database and control socket [env: PERAL_DATA] [default: the
    /// user's data folder, peral/peer]
    #[arg(long, env = "PERAL_DATA", value_name = "DIR", hide_env = true)]
    pub data: Option<PathBuf>,
    /// Where central is, such as `https://central:7070`
    #[arg(long, env = "PERAL_CENTRAL", value_name = "URL")]
    pub central: Option<String>,
    /// Certificate of central's authority (PEM), for the first contact
    #[arg(long, env = "PERAL_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// SHA-256 fingerprint of that certificate, as `peral central init` prints it
    #[arg(long, env = "PERAL_CA_FINGERPRINT", value_name = "HEX", conflicts_with = "ca_file")]
    pub ca_fingerprint: Option<String>,
    /// File with a join token; needed once, for a new key
    #[arg(long, env = "PERAL_JOIN_TOKEN_FILE", value_name = "FILE")]
    pub join_token_file: Option<PathBuf>,
    /// File with this pod's own token for central's audience: the peer joins as the pod that it is
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
    /// Port to listen on: a number, 0 for any free one, or a range of which the first free one is
    /// taken
    #[arg(long, env = "PERAL_PEER_PORT", value_name = "PORTS", default_value = "7071")]
    pub port: Ports,
    /// Write the address and port that it listens on to this file, once it is ready
    #[arg(long, env = "PERAL_PEER_ADDRESS_FILE", value_name = "FILE")]
    pub address_file: Option<PathBuf>,
    /// Address by which others reach this peer [default: the one that this machine reaches central
    /// from]
    #[arg(long, env = "PERAL_ADVERTISE", value_name = "IP[:PORT]")]
    pub advertise: Option<AdvertiseArg>,
    /// Where probes and metrics are served, in plaintext
    #[arg(
        long,
        env = "PERAL_PEER_ADMIN_LISTEN",
        value_name = "IP:PORT",
        default_value = "0.0.0.0:7079"
    )]
    pub admin_listen: SocketAddr,
    /// Publish a folder, under names that begin with the prefix; can be given more than once
    #[arg(long = "share", env = "PERAL_SHARE", value_name = "DIR[=PREFIX]", value_delimiter = ',')]
    pub shares: Vec<ShareArg>,
    /// The same, but private to the peer's account
    #[arg(
        long = "private-share",
        env = "PERAL_PRIVATE_SHARE",
        value_name = "DIR[=PREFIX]",
        value_delimiter = ','
    )]
    pub private_shares: Vec<ShareArg>,
    /// Seconds between two walks over the shares, for what no event told
    #[arg(
        long, env = "PERAL_PEER_RESCAN", value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub rescan: u32,
    /// What to call this peer in listings [default: the host's name]
    #[arg(long, env = "PERAL_PEER_LABEL", value_name = "TEXT")]
    pub label: Option<String>,
    /// Node that this peer runs on: others on it are served first
    #[arg(long, env = "PERAL_NODE", value_name = "NAME", default_value = "")]
    pub node: String,
    /// Zone that this peer runs in: others in it are served next
    #[arg(long, env = "PERAL_ZONE", value_name = "NAME", default_value = "")]
    pub zone: String,
    /// Connect to loopback addresses of other peers: all of them run on this machine
    #[arg(long, env = "PERAL_ALLOW_LOOPBACK")]
    pub allow_loopback: bool,
    /// Offer gRPC reflection
    #[arg(long, env = "PERAL_PEER_REFLECTION")]
    pub reflection: bool,
    /// How much it takes on.
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// How much a peer takes on.
#[derive(Debug, Clone, Args)]
pub struct LimitArgs {
    /// Bytes per second sent to others, such as 50M; 0 for no limit
    #[arg(
        long, env = "PERAL_UPLOAD_RATE", value_name = "BYTES", default_value = "0",
        value_parser = bytes
    )]
    pub upload_rate: u64,
    /// Bytes per second fetched from others, such as 50M; 0 for no limit
    #[arg(
        long, env = "PERAL_DOWNLOAD_RATE", value_name = "BYTES", default_value = "0",
        value_parser = bytes
    )]
    pub download_rate: u64,
    /// Connections held at once
    #[arg(
        long,
        env = "PERAL_PEER_MAX_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = 10_000
    )]
    pub max_connections: usize,
    /// Seconds that running transfers get when the peer is told to stop
    #[arg(long, env = "PERAL_PEER_DRAIN_SECONDS", value_name = "SECONDS", default_value_t = 30)]
    pub drain_seconds: u64,
}

/// A folder to publish, with the prefix of its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareArg {
    path: PathBuf,
    prefix: String,
}

impl FromStr for ShareArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (path, prefix) = text.split_once('=').unwrap_or((text, ""));
        if path.is_empty() {
            Err("a share is written DIR or DIR=PREFIX".into())
        } else {
            Ok(Self { path: path.into(), prefix: prefix.into() })
        }
    }
}

/// An address to register, with or without a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdvertiseArg {
    ip: IpAddr,
    port: Option<u16>,
}

impl FromStr for AdvertiseArg {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { ip: address.ip(), port: Some(address.port()) });
        }
        let ip = text
            .trim_matches(['[', ']'])
            .parse()
            .map_err(|_| "an IP address, or one with a port, such as 10.0.0.7:7071".to_owned())?;
        Ok(Self { ip, port: None })
    }
}

/// A share as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredShare {
    /// The folder.
    pub path: PathBuf,
    /// Put before each name.
    pub prefix: String,
    /// Who may read what it publishes under new names.
    pub visibility: Visibility,
}

/// What a peer runs with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder.
    pub data: PathBuf,
    /// Where central is.
    pub central: String,
    /// How central is believed the first time.
    pub first_contact: Option<FirstContact>,
    /// Lets a new key join.
    pub join_token: Option<JoinToken>,
    /// Says which pod this is.
    pub pod_token: Option<PodToken>,
    /// Where it listens.
    pub listen: (IpAddr, Ports),
    /// What it registers, where the operator says so.
    pub advertise: (Option<IpAddr>, Option<u16>),
    /// Where probes and metrics are served.
    pub admin_listen: SocketAddr,
    /// Folders to publish, beside those that `peral share` added before.
    pub shares: Vec<ConfiguredShare>,
    /// Between two walks over the shares.
    pub rescan: Duration,
    /// Between two heartbeats, a tenth more or less. A lease lasts three of the usual ones (10 s).
    pub heartbeat: Duration,
    /// What to call it in listings.
    pub label: String,
    /// Its node.
    pub node: String,
    /// Its zone.
    pub zone: String,
    /// It may connect to loopback addresses.
    pub allow_loopback: bool,
    /// It offers gRPC reflection.
    pub reflection: bool,
    /// Bytes per second.
    pub rates: Rates,
    /// Connections held at once.
    pub max_connections: usize,
    /// What running transfers get at the end.
    pub drain: Duration,
}

/// What lets a new key join, read only when that is needed: the file may be gone once the key is
/// known.
#[derive(Clone)]
pub enum JoinToken {
    /// The token itself.
    Secret(String),
    /// The first line of this file.
    File(PathBuf),
}

impl JoinToken {
    /// The token.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, when the file cannot be read.
    pub fn read(&self) -> Result<String, Failure> {
        match self {
            Self::Secret(text) => Ok(text.clone()),
            Self::File(path) => secret_line(path),
        }
    }
}

impl std::fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("a secret"),
            Self::File(path) => write!(f, "in {}", path.display()),
        }
    }
}

/// The file with the token of the pod that this peer is. It ends within the hour and another takes
/// its place, so it is read each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodToken(pub PathBuf);

impl PodToken {
    /// The token as it is now.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, naming the file, when it cannot be read or is empty.
    pub fn read(&self) -> Result<String, Failure> {
        let token = secret_line(&self.0)?;
        if token.is_empty() {
            Err(fail!(
                InvalidArgument,
                "{} is empty; it should hold this pod's token",
                self.0.display()
            ))
        } else {
            Ok(token)
        }
    }
}

impl PeerArgs {
    /// The configuration that these arguments mean.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, when something is missing or a file cannot be read.
    pub fn config(self) -> Result<Config, Failure> {
        let Self {
            data,
            central,
            ca_file,
            ca_fingerprint,
            join_token_file,
            listen_address,
            port,
            advertise,
            admin_listen,
            shares,
            ..
        } = self;
        let Self {
            pod_token_file,
            private_shares,
            rescan,
            label,
            node,
            zone,
            allow_loopback,
            reflection,
            limits,
            ..
        } = self;
        let central = central.ok_or_else(|| {
            fail!(
                InvalidArgument,
                "a peer needs to know where central is: give --central URL, or set PERAL_CENTRAL"
            )
        })?;
        let public = shares.into_iter().map(|share| configured(share, Visibility::Public));
        let private =
            private_shares.into_iter().map(|share| configured(share, Visibility::Private));
        Ok(Config {
            data: data.map_or_else(default_data, Ok)?,
            central: address(&central)?,
            first_contact: first_contact(ca_file.as_deref(), ca_fingerprint.as_deref())?,
            join_token: join_token_file.map(JoinToken::File),
            pod_token: pod_token_file.map(PodToken),
            listen: (listen_address, port),
            advertise: (advertise.map(|given| given.ip), advertise.and_then(|given| given.port)),
            admin_listen,
            shares: public.chain(private).collect::<Result<_, _>>()?,
            rescan: Duration::from_secs(rescan.into()),
            heartbeat: Duration::from_secs(10),
            label: label.unwrap_or_else(|| {
                rustix::system::uname().nodename().to_string_lossy().chars().take(100).collect()
            }),
            node,
            zone,
            allow_loopback,
            reflection,
            rates: Rates { upload: limits.upload_rate, download: limits.download_rate },
            max_connections: limits.max_connections,
            drain: Duration::from_secs(limits.drain_seconds),
        })
    }
}

/// Central's address with its scheme: `https://` where none is given. Plaintext, which would carry
/// tokens, goes no further than this machine.
fn address(text: &str) -> Result<String, Failure> {
    let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = reqwest::Url::parse(&full).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none()
    });
    let host = url.as_ref().and_then(reqwest::Url::host_str);
    // A bare number is an address by the rules of the web, and a mistake by ours.
    let number =
        host.is_some_and(|host| host.parse::<std::net::Ipv4Addr>().is_ok() && !full.contains(host));
    if host.is_none() || number {
        return Err(fail!(
            InvalidArgument,
            "{text:?} is no address of central; write https://HOST:7070"
        ));
    }
    if url.as_ref().is_some_and(|url| url.scheme() == "http") && !host.is_some_and(is_loopback) {
        return Err(fail!(
            InvalidArgument,
            "{text:?}: plaintext is for this machine's loopback only; write https://HOST:7070"
        ));
    }
    Ok(full)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
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
    let wrong = |error: &dyn std::fmt::Display| fail!(InvalidArgument, "{error}");
    match (file, fingerprint) {
        (Some(path), _) => {
            let pem = std::fs::read_to_string(path).map_err(|error| {
                fail!(InvalidArgument, "--ca-file {} cannot be read: {error}", path.display())
            })?;
            Ok(Some(FirstContact::Authority(pem)))
        }
        (None, Some(text)) => Pin::new(text)
            .map(|pin| Some(FirstContact::Fingerprint(pin)))
            .map_err(|error| wrong(&error)),
        (None, None) => Ok(None),
    }
}

/// Where a peer of this user keeps what it has, unless it is told otherwise.
///
/// # Errors
/// INVALID_ARGUMENT, when this user has no data folder.
pub fn default_data() -> Result<PathBuf, Failure> {
    let base = etcetera::choose_base_strategy();
    base.map(|base| base.data_dir().join("peral/peer")).map_err(|error| {
        fail!(InvalidArgument, "there is no data folder for this user: {error}; give --data")
    })
}

fn secret_line(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| fail!(InvalidArgument, "{} cannot be read: {error}", path.display()))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
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
            (config.advertise, config.rates.upload),
            ((Some([10, 0, 0, 7].into()), None), 50 << 20)
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
    fn what_cannot_be_meant_is_refused() {
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
