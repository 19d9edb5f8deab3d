//! The roles of the network: central, and a peer.

use std::{
    fs,
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use peral_central::{
    Central, CentralArgs, CentralCommand, Initialized, Provisioned, RunArgs, create_keys,
    has_network, init,
};
use peral_peer::{Peer, PeerArgs};
use peral_runtime::{Backoff, SharedClock, Shutdown, limits::raise_open_files, work::retry};
use peral_wire::{Failure, fail};
use prometheus::Registry;
use serde::Serialize;

use crate::output::{CommandResult, Output, escape};

/// How long this process may take to answer its own readiness probe, and the pause between two.
const LOOK: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);

/// What a role works with.
pub struct Surroundings {
    pub out: Output,
    pub clock: SharedClock,
    pub metrics: Registry,
}

#[derive(Serialize)]
#[serde(transparent)]
pub struct CentralInitResult {
    pub network: Initialized,
}

#[derive(Serialize)]
#[serde(transparent)]
pub struct CentralKeysResult {
    pub objects: Provisioned,
}

#[derive(Serialize)]
pub struct CentralFingerprintResult {
    pub fingerprint: String,
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
            let network = init(args.place.config()?, &args.admin, &password, around.clock).await?;
            around.out.result(&CentralInitResult { network })
        }
        Some(CentralCommand::Keys(args)) => {
            let objects = create_keys(&args, &around.clock).await?;
            around.out.result(&CentralKeysResult { objects })
        }
        Some(CentralCommand::Fingerprint(place)) => {
            let fingerprint = peral_central::fingerprint(&place.config()?)?;
            around.out.result(&CentralFingerprintResult { fingerprint })
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
        announce_address(
            file,
            format!("https://{}", central.addr()),
            central.admin_addr(),
            &shutdown,
        );
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
        announce_address(file, peer.addr().to_string(), peer.admin_addr(), &shutdown);
    }
    peer.run(shutdown).await
}

/// What every role needs from the system.
fn prepare() -> Result<Shutdown, Failure> {
    match raise_open_files() {
        Ok(limit) => tracing::debug!(?limit, "open files"),
        Err(error) => {
            tracing::warn!(%error, "could not raise the limit of open files: with many \
                connections, new ones may be refused");
        }
    }
    let shutdown = Shutdown::new();
    shutdown
        .on_signals()
        .map_err(|error| fail!(Internal, "could not set up signal handlers: {error}"))?;
    Ok(shutdown)
}

/// Writes the address once this process is ready: a script that waits for the file can use the
/// address immediately.
fn announce_address(file: PathBuf, address: String, admin: SocketAddr, shutdown: &Shutdown) {
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        let ready = shutdown.draining().run_until_cancelled(ready(admin)).await;
        if ready.is_some()
            && let Err(failure) = write_address(&file, &address)
        {
            tracing::error!(reason = %failure, "could not write the address file");
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
    let attempt = || async {
        match http.get(&url).send().await {
            Ok(answer) if answer.status().is_success() => ControlFlow::Break(()),
            Ok(answer) => ControlFlow::Continue(answer.status().to_string()),
            Err(error) => ControlFlow::Continue(error.to_string()),
        }
    };
    let log = |reason: &String| tracing::debug!(reason, "not ready yet");
    retry(Backoff::constant(PAUSE), attempt, log).await;
}

/// Writes the address to a file that appears complete.
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
        fail!(InvalidArgument, "could not write the address file {}: {error}", path.display())
    })
}

impl CommandResult for CentralInitResult {
    const SCHEMA: &'static str = "peral.central-init/1";

    fn text(&self, _: &Output) -> String {
        format!("{}\n", self.network)
    }
}

impl CommandResult for CentralKeysResult {
    const SCHEMA: &'static str = "peral.central-keys/1";

    fn text(&self, _: &Output) -> String {
        format!("{}\n", self.objects)
    }
}

impl CommandResult for CentralFingerprintResult {
    const SCHEMA: &'static str = "peral.central-fingerprint/1";

    fn text(&self, _: &Output) -> String {
        format!("{}\n", escape(&self.fingerprint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_file_is_complete_or_the_error_names_it() {
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
