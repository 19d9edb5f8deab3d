//! Who sent a request.

use std::{net::SocketAddr, sync::Arc};

use crate::tls::PeerCertificate;

/// Who sent a request: in the extensions of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its address. IPv4 is written as such, also on a listener of both. On the unix socket: the
    /// loopback address, port 0.
    pub remote: SocketAddr,
    /// The verified certificate, where the listener asks for one.
    pub certificate: Option<Arc<PeerCertificate>>,
    /// Whether the connection is encrypted. A plaintext one comes over loopback, or the whole
    /// listener is plaintext.
    pub encrypted: bool,
}

/// The process that sent a request over the unix socket: in the extensions of each, next to
/// its [`Caller`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalCaller {
    /// Its user: always our own.
    pub uid: u32,
    /// Its process id, where the system tells.
    pub pid: Option<i32>,
}
