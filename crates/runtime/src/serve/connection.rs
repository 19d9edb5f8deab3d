//! One connection, from its first byte to its end.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower::Service;

use super::{
    BodyDeadline, Caller, LocalCaller, ServeConfig,
    caps::{Caps, ConnectionPermit},
};
use crate::{Shutdown, tls};

/// First byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;
/// Length of the preface of HTTP/2: with so many bytes read, the version is known and its own
/// deadlines run.
const PREFACE: u64 = 24;

/// A stream of any kind. Boxed, so that there is one connection type to compile; compared with a
/// system call the indirection costs nothing.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why a connection ended before its first request.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("no bytes arrived within {} s", .0.as_secs_f32())]
    Slow(Duration),
    #[error("the connection broke: {0}")]
    Broken(#[from] std::io::Error),
    #[error(transparent)]
    Certificate(#[from] tls::TlsError),
}

/// What all connections of a listener share.
pub(super) struct Server {
    config: ServeConfig,
    builder: Builder<TokioExecutor>,
    tls: Option<TlsAcceptor>,
    router: Router,
    caps: Arc<Caps>,
    shutdown: Shutdown,
    shed: opentelemetry::metrics::Counter<u64>,
}

impl Server {
    pub(super) fn new(
        config: ServeConfig,
        tls: Option<Arc<rustls::ServerConfig>>,
        router: Router,
        shutdown: Shutdown,
    ) -> Self {
        let meter = opentelemetry::global::meter("peral");
        let shed = meter.u64_counter("peral.connections.shed");
        Self {
            builder: config.builder(),
            caps: Caps::new(config.max_connections, config.max_connections_per_ip),
            shed: shed
                .with_description("Connections closed at once because a cap was reached")
                .build(),
            tls: tls.map(TlsAcceptor::from),
            config,
            router,
            shutdown,
        }
    }

    /// Starts the task of a connection, or closes it when a cap is reached.
    pub(super) fn take_tcp(self: &Arc<Self>, stream: TcpStream, remote: SocketAddr) {
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        let Some(permit) = self.enter(remote) else { return };
        let this = Arc::clone(self);
        self.shutdown.spawn(async move { this.run_tcp(stream, remote, permit).await });
    }

    /// The same for a connection over the unix socket, whose caller was checked.
    pub(super) fn take_unix(
        self: &Arc<Self>,
        stream: UnixStream,
        caller: Caller,
        local: LocalCaller,
    ) {
        let Some(permit) = self.enter(caller.remote) else { return };
        let this = Arc::clone(self);
        self.shutdown.spawn(async move {
            this.run(Box::new(stream), caller, Some(local)).await;
            drop(permit);
        });
    }

    fn enter(&self, remote: SocketAddr) -> Option<ConnectionPermit> {
        let full = match self.caps.enter(remote.ip()) {
            Ok(permit) => return Some(permit),
            Err(full) => full.as_str(),
        };
        self.shed.add(1, &[opentelemetry::KeyValue::new("cap", full)]);
        tracing::debug!(%remote, cap = full, "a connection is closed because a cap is reached");
        None
    }

    async fn run_tcp(&self, stream: TcpStream, remote: SocketAddr, permit: ConnectionPermit) {
        if let Err(error) = self.tune(&stream) {
            // The connection works without: slower and less protected.
            tracing::debug!(%remote, %error, "a connection cannot be tuned");
        }
        let opened = tokio::select! {
            opened = self.open(stream, remote) => opened,
            // No request was sent yet, so nothing is lost.
            () = self.shutdown.draining().cancelled() => return,
        };
        match opened {
            Ok((stream, caller)) => self.run(stream, caller, None).await,
            Err(error) => tracing::debug!(%remote, %error, "a connection is refused"),
        }
        drop(permit);
    }

    fn tune(&self, stream: &TcpStream) -> std::io::Result<()> {
        // Small answers must not wait for an acknowledgement of what went before.
        stream.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        {
            let millis = u32::try_from(self.config.send_timeout.as_millis()).unwrap_or(u32::MAX);
            rustix::net::sockopt::set_tcp_user_timeout(stream, millis)?;
        }
        Ok(())
    }

    /// The handshake, or none where plaintext is allowed and spoken.
    async fn open(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
    ) -> Result<(Box<dyn Stream>, Caller), OpenError> {
        let plaintext = Caller { remote, certificate: None, encrypted: false };
        let Some(acceptor) = &self.tls else {
            return Ok((Box::new(stream), plaintext));
        };
        let deadline = self.config.handshake_timeout;
        let handshake = async {
            if self.config.plaintext_on_loopback
                && remote.ip().is_loopback()
                && !speaks_tls(&stream).await?
            {
                return Ok((Box::new(stream) as Box<dyn Stream>, plaintext));
            }
            let stream = acceptor.accept(stream).await?;
            let certificate = certificate_of(&stream)?;
            Ok((
                Box::new(stream) as Box<dyn Stream>,
                Caller { remote, certificate, encrypted: true },
            ))
        };
        timeout(deadline, handshake).await.unwrap_or(Err(OpenError::Slow(deadline)))
    }

    /// Speaks HTTP on an open stream until it ends, the drain is over, or the kill.
    async fn run(&self, stream: Box<dyn Stream>, caller: Caller, local: Option<LocalCaller>) {
        let remote = caller.remote;
        let read = Arc::new(AtomicU64::new(0));
        let stream = TokioIo::new(CountingStream { inner: stream, read: Arc::clone(&read) });
        let service = service_fn(|request| {
            // A whole request may be shorter than the preface.
            read.fetch_add(PREFACE, Ordering::Relaxed);
            self.answer(request, &caller, local)
        });
        let mut connection = std::pin::pin!(self.builder.serve_connection(stream, service));
        let mut preface = std::pin::pin!(tokio::time::sleep(self.config.header_timeout));
        let (mut begun, mut draining) = (false, false);
        let result = loop {
            tokio::select! {
                result = connection.as_mut() => break result,
                () = self.shutdown.draining().cancelled(), if !draining => {
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = self.shutdown.killed().cancelled() => return,
                () = preface.as_mut(), if !begun => {
                    begun = true;
                    // Telling the version apart has no deadline of its own, nor has the preface of
                    // HTTP/2.
                    if read.load(Ordering::Relaxed) < PREFACE {
                        tracing::debug!(%remote, "a connection is closed: it sent no request");
                        return;
                    }
                }
            }
        };
        if let Err(error) = result {
            tracing::debug!(%remote, %error, "a connection ended with an error");
        }
    }

    fn answer(
        &self,
        request: Request<Incoming>,
        caller: &Caller,
        local: Option<LocalCaller>,
    ) -> impl Future<Output = Result<Response, Infallible>> + use<> {
        let mut request = match self.config.body_deadline {
            Some(deadline) => request.map(|body| Body::new(BodyDeadline::new(body, deadline))),
            None => request.map(Body::new),
        };
        request.extensions_mut().insert(caller.clone());
        if let Some(local) = local {
            request.extensions_mut().insert(local);
        }
        // A router is always ready, and cloning it is cloning one Arc.
        self.router.clone().call(request)
    }
}

async fn speaks_tls(stream: &TcpStream) -> std::io::Result<bool> {
    let mut first = [0];
    match stream.peek(&mut first).await? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(first == [TLS_HANDSHAKE]),
    }
}

fn certificate_of(
    stream: &TlsStream<TcpStream>,
) -> Result<Option<Arc<tls::PeerCertificate>>, OpenError> {
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    leaf.map(|leaf| Ok(Arc::new(tls::peer_of(leaf)?))).transpose()
}

pin_project! {
    /// Counts the bytes read, to tell whether the other end has sent anything.
    struct CountingStream {
        #[pin]
        inner: Box<dyn Stream>,
        read: Arc<AtomicU64>,
    }
}

impl AsyncRead for CountingStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.project();
        let before = buf.filled().len();
        let polled = this.inner.poll_read(cx, buf);
        let new = buf.filled().len().saturating_sub(before);
        this.read.fetch_add(new as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for CountingStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.project().inner.poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.project().inner.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        self.project().inner.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
