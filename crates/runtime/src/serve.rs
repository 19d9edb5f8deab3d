//! The accept loop of every listener: deadlines, caps and a drain, none of which `axum::serve` has.
//!
//! Each connection runs in a task of its own, so that a slow handshake does not delay the next
//! caller. [`ServeConfig`] caps what a remote can grow; a new connection beyond a cap is closed.

mod accept;
mod body;
mod caller;
mod caps;
mod config;
mod connection;
mod listener;
mod pause;
mod unix;

use std::sync::Arc;

pub use body::{BodyDeadline, SlowBody};
pub use caller::{Caller, LocalCaller};
pub use config::ServeConfig;
pub use listener::Listener;
pub use unix::serve_unix;

use crate::Shutdown;

/// Serves a router on a listener until the drain starts. Connections are tasks of `shutdown`: they
/// end their running requests during the drain and are cut at the kill. Without `tls` the whole
/// listener is plaintext.
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
