//! Connections to other peers: dialled by address, verified by identity, kept for reuse.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hyper_util::rt::TokioIo;
use moka::future::Cache;
use peral_model::{Identity, PeerId};
use peral_runtime::{
    propagate,
    tls::{Alpn, CertStore, Expect, TrustRoots, client_config},
};
use peral_wire::{Failure, PeerClient, fail, failure::root_of};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{self, pki_types::ServerName},
};
use tonic::transport::{Channel, Endpoint};

/// How long it may take to connect, TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// Bytes in flight on one stream, and on one connection: what a link of 1 Gbit/s with 60 ms holds.
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// The receiver's frame size decides how the sender splits: one piece, so that it arrives in one
/// buffer.
const FRAME: u32 = 1 << 20;
/// Time between pings on each connection, and how long an answer may take: a peer that vanished is
/// noticed in half a minute.
const PING: Duration = Duration::from_secs(15);
/// Maximum number of connections that are kept for reuse; the least used are dropped first.
const MAX_KEPT: u64 = 256;
/// Unused connections are closed after this time.
const IDLE: Duration = Duration::from_secs(90);
/// Every connection is replaced after this time, so that none outlives the certificate that it was
/// opened with.
const AGE: Duration = Duration::from_hours(1);

/// Addresses of cloud metadata services, which hand out secrets; the usual one for IPv4 is
/// link-local.
const METADATA: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Which addresses of peers this process connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboundPolicy {
    /// Whether loopback addresses are allowed: for tests, and for several peers on one machine.
    pub allow_loopback: bool,
}

impl OutboundPolicy {
    /// Refuses addresses that cannot be a peer's, to which a lying catalogue could send us to attack
    /// another service.
    ///
    /// # Errors
    /// INVALID_ADDRESS.
    pub fn check(self, address: SocketAddr) -> Result<(), Failure> {
        let ip = address.ip().to_canonical();
        let link_local = match ip {
            // The metadata service of clouds is here as well.
            IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_unicast_link_local() || hides_v4(ip),
        };
        let why = if ip.is_unspecified()
            || ip.is_multicast()
            || link_local
            || METADATA.contains(&ip)
            || address.port() == 0
        {
            "this cannot be the address of a peer"
        } else if ip.is_loopback() && !self.allow_loopback {
            "it is a loopback address; use --allow-loopback where peers share a machine"
        } else {
            return Ok(());
        };
        Err(fail!(InvalidAddress, "not connecting to {address}: {why}"))
    }
}

/// Old or translating forms of an IPv4 address: `::a.b.c.d` (but not `::1`), `64:ff9b::/96`,
/// `2002::/16`.
fn hides_v4(ip: Ipv6Addr) -> bool {
    let parts = ip.segments();
    (parts[..6] == [0; 6] && !ip.is_loopback())
        || parts[..6] == [0x64, 0xff9b, 0, 0, 0, 0]
        || parts[0] == 0x2002
}

/// Opens and keeps connections. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct Dialer {
    certs: Arc<CertStore>,
    roots: TrustRoots,
    policy: OutboundPolicy,
    kept: Cache<(PeerId, SocketAddr), Channel>,
}

impl Dialer {
    /// Shows the certificate in `certs`, and trusts those of `roots`.
    pub fn new(certs: Arc<CertStore>, roots: TrustRoots, policy: OutboundPolicy) -> Self {
        let kept =
            Cache::builder().max_capacity(MAX_KEPT).time_to_idle(IDLE).time_to_live(AGE).build();
        Self { certs, roots, policy, kept }
    }

    /// A connection to this peer, new or kept, if it is the one that answers at this address.
    ///
    /// # Errors
    /// INVALID_ADDRESS; UNAVAILABLE when the peer does not answer there in time, or another does.
    pub async fn channel(&self, peer: PeerId, address: SocketAddr) -> Result<Channel, Failure> {
        self.policy.check(address)?;
        let connected = self.kept.try_get_with((peer, address), self.connect(peer, address)).await;
        connected.map_err(|failure| Failure::clone(&failure))
    }

    /// A client on a connection to this peer.
    ///
    /// # Errors
    /// As [`Self::channel`].
    pub async fn client(&self, peer: PeerId, address: SocketAddr) -> Result<PeerClient, Failure> {
        Ok(PeerClient::new(self.channel(peer, address).await?, propagate::inject))
    }

    /// Drops the kept connection to this peer; calls that run on it go on.
    pub async fn forget(&self, peer: PeerId, address: SocketAddr) {
        self.kept.invalidate(&(peer, address)).await;
    }

    async fn connect(&self, peer: PeerId, address: SocketAddr) -> Result<Channel, Failure> {
        let mut config = client_config(
            self.roots.clone(),
            Expect::Identity(Identity::Peer(peer)),
            Some(Arc::clone(&self.certs)),
        );
        config.alpn_protocols = Alpn::Http2.protocols();
        let tls = TlsConnector::from(Arc::new(config));
        let connector = tower::service_fn(move |_| {
            let tls = tls.clone();
            async move { open(&tls, address).await.map(TokioIo::new) }
        });
        let channel = endpoint(address)?.connect_with_connector(connector).await;
        channel.map_err(|error| {
            fail!(Unavailable, "peer {peer} at {address} cannot be reached: {}", root_of(&error))
        })
    }
}

fn endpoint(address: SocketAddr) -> Result<Endpoint, Failure> {
    let bad = |error: &dyn std::fmt::Display| {
        fail!(InvalidAddress, "{address} is not a valid address: {error}")
    };
    let endpoint =
        Endpoint::from_shared(format!("http://{address}")).map_err(|error| bad(&error))?;
    // Our connector speaks TLS itself; the origin only says so to the server.
    let origin = format!("https://{address}").parse().map_err(|error| bad(&error))?;
    Ok(endpoint
        .origin(origin)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .keep_alive_while_idle(true))
}

async fn open(tls: &TlsConnector, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
    let connected = timeout(CONNECT, async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        tls.connect(ServerName::from(address.ip()), stream).await.map_err(refused)
    });
    connected.await.unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {} s", CONNECT.as_secs()),
        ))
    })
}

/// Replaces the error by our own reason, where our verifier refused the certificate.
fn refused(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) => {
            io::Error::other(other.0.to_string())
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use peral_wire::ErrorCode;

    use super::*;

    #[test]
    fn addresses_that_cannot_be_a_peers_are_refused() {
        let code = |text: &str, allow_loopback| {
            OutboundPolicy { allow_loopback }
                .check(text.parse().unwrap())
                .map_err(|failure| failure.code)
        };
        let nowhere = "0.0.0.0:1 [::]:1 169.254.169.254:80 224.0.0.1:1 255.255.255.255:1 \
            [fe80::1]:1 10.0.0.1:0 100.100.100.200:80 [fd00:ec2::254]:80 \
                       [::ffff:169.254.169.254]:80 [64:ff9b::a9fe:a9fe]:80 [2002:a9fe:a9fe::]:80 \
            [::169.254.169.254]:80";
        for address in nowhere.split_whitespace() {
            assert_eq!(code(address, true), Err(ErrorCode::InvalidAddress), "{address}");
        }
        for address in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(code(address, false), Err(ErrorCode::InvalidAddress), "{address}");
            assert_eq!(code(address, true), Ok(()), "{address}");
        }
        assert_eq!(code("10.0.0.1:7071", false), Ok(()));
    }
}
