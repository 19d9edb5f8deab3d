//! An authority, listeners, and clients that speak HTTP by hand.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Extension, Router, body::Body, routing::get};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use peral_model::{AccountId, Identity, NetworkId, PeerId, SessionId};
use peral_runtime::{
    Ports, Shutdown,
    serve::{Caller, Listener, ServeConfig, serve},
    tls::{Authority, CertStore},
};
pub use peral_testkit::PATIENCE;
use peral_testkit::identity::{self, HOUR, now_ms};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use uuid::Uuid;

pub fn peer(number: u128) -> Identity {
    Identity::Peer(PeerId(Uuid::from_u128(number)))
}

pub fn user(number: u128) -> Identity {
    Identity::User(SessionId(Uuid::from_u128(number)))
}

pub fn account() -> AccountId {
    AccountId(Uuid::from_u128(77))
}

pub fn authority() -> Authority {
    Authority::generate(NetworkId(Uuid::from_u128(1)), now_ms() - 60_000).unwrap()
}

/// Puts a fresh certificate for this identity into a store.
pub fn renew(store: &CertStore, authority: &Authority, identity: Identity, lifetime: Duration) {
    identity::renew(store, authority, account(), identity, lifetime);
}

pub fn certified(authority: &Authority, identity: Identity) -> Arc<CertStore> {
    let store = CertStore::shared();
    renew(&store, authority, identity, HOUR);
    store
}

/// A router that says who calls.
pub fn whoami() -> Router {
    Router::new()
        .route("/", get(|Extension(caller): Extension<Caller>| async move { describe(&caller) }))
}

pub fn describe(caller: &Caller) -> String {
    let who = caller
        .certificate
        .as_ref()
        .map_or_else(|| "nobody".into(), |certificate| certificate.identity.to_string());
    format!("{who} {} {}", caller.remote.ip(), if caller.encrypted { "encrypted" } else { "plain" })
}

pub struct Running {
    pub address: SocketAddr,
    pub shutdown: Shutdown,
}

pub fn start(
    config: ServeConfig,
    tls: Option<Arc<rustls::ServerConfig>>,
    router: Router,
) -> Running {
    let listener = Listener::bind(IpAddr::V4(Ipv4Addr::LOCALHOST), Ports::one(0)).unwrap();
    let (address, shutdown) = (listener.local_addr(), Shutdown::new());
    shutdown.spawn(serve(listener, config, tls, router, shutdown.clone()));
    Running { address, shutdown }
}

pub async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

pub async fn connect_tls(
    address: SocketAddr,
    config: rustls::ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::from(address.ip());
    timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, connect(address).await))
        .await
        .expect("the handshake hangs")
}

/// An HTTP/1 connection that stays open; its task ends when the server closes it.
pub async fn http1<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
) -> (http1::SendRequest<Body>, tokio::task::JoinHandle<()>) {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(async move { drop(connection.await) }))
}

pub async fn http2<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
) -> (http2::SendRequest<Body>, tokio::task::JoinHandle<()>) {
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(async move { drop(connection.await) }))
}

pub fn request(path: &str) -> Request<Body> {
    Request::get(format!("http://peral{path}")).header("host", "peral").body(Body::empty()).unwrap()
}

#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub text: String,
}

impl Answer {
    pub fn ok(text: impl Into<String>) -> Self {
        Self { status: StatusCode::OK, text: text.into() }
    }
}

pub async fn read(response: http::Response<hyper::body::Incoming>) -> Answer {
    let status = response.status();
    let body: Bytes = response.into_body().collect().await.unwrap().to_bytes();
    Answer { status, text: String::from_utf8(body.to_vec()).unwrap() }
}

/// One request on a connection of its own.
pub async fn fetch<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    path: &str,
) -> Result<Answer, hyper::Error> {
    let (mut sender, _task) = http1(stream).await;
    let response =
        timeout(PATIENCE, sender.send_request(request(path))).await.expect("no answer")?;
    Ok(read(response).await)
}

/// Waits until the server closes, and says what it sent before.
pub async fn until_closed<S: AsyncRead + Unpin>(mut stream: S) -> Vec<u8> {
    let mut sent = Vec::new();
    // A reset is as good an end as any.
    drop(
        timeout(PATIENCE, stream.read_to_end(&mut sent)).await.expect("the connection stays open"),
    );
    sent
}
