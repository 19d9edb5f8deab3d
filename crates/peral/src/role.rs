//! The roles of the network: central, and a peer.

use std::{
    fs,
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use peral_central::{
    Central, CentralArgs, CentralCommand, RunArgs, create_keys, has_network, init,
};
use peral_peer::{args::PeerArgs, server::Peer};
use peral_runtime::{SharedClock, Shutdown, limits::raise_open_files};
use peral_wire::{Failure, fail};
use prometheus::Registry;
use serde::Serialize;

use crate::output::{Output, shown};

/// How long this process may take to answer itself, and between two looks.
const LOOK: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);

/// What a role has to work with.
pub struct Surroundings {
    /// Where results go.
    pub out: Output,
    /// The time.
    pub clock: SharedClock,
    /// The metrics of this process.
    pub metrics: Registry,
}

#[derive(Serialize)]
struct Fingerprint {
    fingerprint: String,
}

/// Runs `peral central`.
///
/// # Errors
/// Why it could not start, or ended.
pub async fn central(args: CentralArgs, around: Surroundings) -> Result<(), Failure> {
    match args.command {
        None => run_central(args.run, around).await,
        Some(CentralCommand::Run(run)) => run_central(*run, around).await,
        Some(CentralCommand::Init(args)) => {
            let password = args.password()?;
            let made = init(args.place.config()?, &args.admin, &password, around.clock).await?;
            around.out.result("peral.central-init/1", &made, |made| format!("{made}\n"))
        }
        Some(CentralCommand::Keys(args)) => {
            let made = create_keys(&args, &around.clock).await?;
            around.out.result("peral.central-keys/1", &made, |made| format!("{made}\n"))
        }
        Some(CentralCommand::Fingerprint(place)) => {
            let fingerprint = peral_central::fingerprint(&place.config()?)?;
            around.out.result("peral.central-fingerprint/1", &Fingerprint { fingerprint }, |said| {
                format!("{}\n", shown(&said.fingerprint))
            })
        }
    }
}

async fn run_central(args: RunArgs, around: Surroundings) -> Result<(), Failure> {
    let file = args.address_file.clone();
    let config = args.config()?;
    let central = Central::bind(config.clone(), around.clock, around.metrics)?;
    has_network(&config)?;
    let shutdown = prepare()?;
    if let Some(file) = file {
        tell_address(file, format!("https://{}", central.addr()), central.admin_addr(), &shutdown);
    }
    central.run(shutdown).await
}

/// Runs `peral peer`.
///
/// # Errors
/// Why it could not start, or ended.
pub async fn peer(args: PeerArgs, around: Surroundings) -> Result<(), Failure> {
    let file = args.address_file.clone();
    let peer = Peer::bind(args.config()?, around.clock, around.metrics).await?;
    let shutdown = prepare()?;
    if let Some(file) = file {
        tell_address(file, peer.addr().to_string(), peer.admin_addr(), &shutdown);
    }
    peer.run(shutdown).await
}

/// What every role wants of the system.
fn prepare() -> Result<Shutdown, Failure> {
    match raise_open_files() {
        Ok(limit) => tracing::debug!(?limit, "open files"),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised: connections may be \
                refused when \
                many come");
        }
    }
    let shutdown = Shutdown::new();
    shutdown.on_signals().map_err(|error| fail!(Internal, "signals cannot be caught: {error}"))?;
    Ok(shutdown)
}

/// Writes the address once this process is ready, so that whoever waits for the file can go on at
/// once.
fn tell_address(file: PathBuf, address: String, admin: SocketAddr, shutdown: &Shutdown) {
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        let ready = shutdown.draining().run_until_cancelled(ready(admin)).await;
        if ready.is_some()
            && let Err(failure) = write_address(&file, &address)
        {
            tracing::error!(reason = %failure, "whoever waits for the address waits in vain");
        }
    });
}

/// Waits until the admin listener of this process says that it is ready.
async fn ready(admin: SocketAddr) {
    let ip = match admin.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let url = format!("http://{}/readyz", SocketAddr::new(ip, admin.port()));
    let Ok(http) = reqwest::Client::builder().no_proxy().timeout(LOOK).build() else { return };
    while !http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
        tokio::time::sleep(PAUSE).await;
    }
}

/// Tells others where this process listens: whoever waits for the file finds the whole of it.
fn write_address(path: &Path, address: &str) -> Result<(), Failure> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = (|| {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(file, "{address}")?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        fs::File::open(folder)?.sync_all()
    })();
    written.map_err(|error: std::io::Error| {
        fail!(InvalidArgument, "the address file {} cannot be written: {error}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_whole_or_the_place_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("address");
        write_address(&path, "127.0.0.1:1").unwrap();
        write_address(&path, "127.0.0.1:2").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "127.0.0.1:2\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let failure = write_address(&folder.path().join("no/address"), "x").unwrap_err();
        assert!(failure.detail.contains("no/address"), "{failure}");
    }
}
