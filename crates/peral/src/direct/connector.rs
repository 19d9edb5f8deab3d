//! Connections to peers, with the certificate of a login.

use std::{net::SocketAddr, sync::Arc};

use peral_runtime::tls::CertStore;
use peral_transfer::dial::{Dialer, OutboundPolicy};
use peral_wire::{Failure, fail};
use tokio_util::sync::CancellationToken;

use crate::{central, interrupt::interrupted, logins::StoredLogin};

/// Connects to peers.
pub struct Connector {
    pub certs: Arc<CertStore>,
    pub dialer: Dialer,
}

impl Connector {
    /// With the certificate of this login.
    pub fn new(login: &StoredLogin) -> Result<Self, Failure> {
        let certs = CertStore::shared();
        use_certificate(&certs, login)?;
        // If central is on this machine, peers may be too. Otherwise a command must not connect to
        // its own machine.
        let policy = OutboundPolicy { allow_loopback: central::is_local(&login.central) };
        Ok(Self { dialer: Dialer::new(Arc::clone(&certs), login.network.roots()?, policy), certs })
    }
}

/// Uses the login's certificate from now on.
pub fn use_certificate(certs: &CertStore, login: &StoredLogin) -> Result<(), Failure> {
    let set = certs.set_pem(&login.credentials.certificate, &login.key);
    set.map_err(|error| {
        fail!(Unauthenticated, "could not use the certificate of the login: {error}; log in again")
    })
}

/// An address as the catalogue gives it.
pub fn parse_address(address: &str) -> Result<SocketAddr, Failure> {
    address.parse().map_err(|_| fail!(InvalidAddress, "{address:?} is not an address of a peer"))
}

/// Runs a transfer to its end. When the command is interrupted, cancels it and waits for its
/// answer.
pub async fn run_until_interrupted<T>(
    running: impl Future<Output = T>,
    cancel: CancellationToken,
) -> T {
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => ended,
        () = interrupted() => {
            cancel.cancel();
            running.await
        }
    }
}
