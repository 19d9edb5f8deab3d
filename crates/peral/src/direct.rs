//! What a command does itself where no peer runs here: the same engine as a peer's, with the user's
//! own certificate.

mod download;
mod kept;
mod peer;
mod upload;

use std::{net::SocketAddr, sync::Arc};

use peral_runtime::tls::CertStore;
use peral_transfer::dial::{Dialer, OutboundPolicy};
use peral_wire::{Failure, fail};
use tokio_util::sync::CancellationToken;

pub use download::download;
pub use peer::{echo, list};
pub use upload::upload;

use crate::{control::interrupted, logins::Login};

/// A way to peers, with the certificate of a login.
struct Way {
    certs: Arc<CertStore>,
    dialer: Dialer,
}

impl Way {
    fn new(login: &Login) -> Result<Self, Failure> {
        let certs = CertStore::shared();
        show(&certs, login)?;
        // Where central is on this machine, peers may be too; elsewhere nothing makes a command
        // connect to its own machine.
        let policy = OutboundPolicy { allow_loopback: crate::central::is_local(&login.central) };
        Ok(Self { dialer: Dialer::new(Arc::clone(&certs), login.network.roots()?, policy), certs })
    }
}

/// Shows the login's certificate from now on.
fn show(certs: &CertStore, login: &Login) -> Result<(), Failure> {
    let shown = certs.set_pem(&login.credentials.certificate, &login.key);
    shown.map_err(|error| {
        fail!(Unauthenticated, "the login's certificate cannot be used: {error}; log in again")
    })
}

/// An address as the catalogue gives it.
fn socket(address: &str) -> Result<SocketAddr, Failure> {
    address.parse().map_err(|_| fail!(InvalidAddress, "{address:?} is no address of a peer"))
}

/// Runs a transfer to its end. Interrupted, it is told so, and says how it ended.
async fn unless_interrupted<T>(running: impl Future<Output = T>, cancel: CancellationToken) -> T {
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => ended,
        () = interrupted() => {
            cancel.cancel();
            running.await
        }
    }
}
