//! The accept loop of every listener: deadlines, caps and a drain, none of which `axum::serve` has.
//!
//! Each connection runs in a task of its own, so that no handshake holds up the next caller. What a
//! remote could let grow is capped by [`ServeConfig`]; what is beyond a cap is closed, the newest
//! first.

mod accept;
mod body;
mod caps;
mod config;
mod connection;
mod listener;
mod unix;

use std::{net::SocketAddr, sync::Arc};

pub use body::{BodyDeadline, SlowBody};
pub use config::ServeConfig;
pub use listener::Listener;
pub use unix::{LocalCaller, serve_unix};

use crate::{Shutdown, tls::PeerCertificate};

/// Who sent a request: in the extensions of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Where from. IPv4 is written as such, also on a listener of both. On the unix socket: the
    /// loopback address, port 0.
    pub remote: SocketAddr,
    /// The verified certificate, where the listener asks for one.
    pub certificate: Option<Arc<PeerCertificate>>,
    /// Is the connection encrypted? If not, it comes over loopback, or the listener is plaintext
    /// altogether.
    pub encrypted: bool,
}

/// Serves a router on a listener until the drain starts. Connections are tasks of `shutdown`: they
/// end their running requests during the drain and are cut at the kill. Without `tls` the listener
/// is plaintext altogether.
pub async fn serve(
    listener: Listener,
    config: ServeConfig,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: axum::Router,
    shutdown: Shutdown,
) {
    let server = connection::Server::new(config, tls, router, shutdown.clone());
    accept::run(listener, server, shutdown).await;
}
