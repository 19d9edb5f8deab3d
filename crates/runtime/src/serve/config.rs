//! What a listener allows.

use std::time::Duration;

use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};

/// The limits of one listener. `Default` suits REST, [`ServeConfig::peer`] the gRPC of a peer.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// For the TLS handshake, and for the first byte where plaintext may come too. 5 s.
    pub handshake_timeout: Duration,
    /// For the whole head of an HTTP/1 request, and so for an idle HTTP/1 connection; for the
    /// preface of HTTP/2. 5 s.
    pub header_timeout: Duration,
    /// A request body must deliver something in each such span while it is waited for. 30 s;
    /// `None`: no deadline.
    pub body_deadline: Option<Duration>,
    /// What we sent must be taken by the other end within this time, or the connection ends (Linux:
    /// `TCP_USER_TIMEOUT`): a reader that stops reading keeps nothing of ours. 60 s.
    pub send_timeout: Duration,
    /// Connections in all. 10,000.
    pub max_connections: usize,
    /// Connections from one address (IPv6: from one /64). 1,000, because many peers may sit behind
    /// one.
    pub max_connections_per_ip: usize,
    /// Requests at a time on one HTTP/2 connection. 200.
    pub max_concurrent_streams: u32,
    /// Largest HTTP/2 frame taken in, bytes. 16 KiB; a peer's 1 MiB, one piece.
    pub max_frame_size: u32,
    /// Bytes that may be under way on one HTTP/2 stream. 1 MiB; a peer's 8 MiB.
    pub stream_window: u32,
    /// Bytes that may be under way on one HTTP/2 connection. 2 MiB; a peer's 16 MiB.
    pub connection_window: u32,
    /// Bytes buffered for sending on one HTTP/2 stream. 400 KiB; a peer's 2 MiB.
    pub max_send_buffer: usize,
    /// HTTP/2 pings at this interval, also when nothing runs. 20 s.
    pub keepalive_interval: Duration,
    /// A ping unanswered for so long ends the connection. 20 s.
    pub keepalive_timeout: Duration,
    /// All headers of a request together, bytes. 16 KiB.
    pub max_header_list_size: u32,
    /// Streams that the client has reset before they were looked at; more end the connection
    /// ("rapid reset"). 20.
    pub max_pending_resets: usize,
    /// Streams reset because of the client's errors; more end the connection. 64.
    pub max_error_resets: usize,
    /// Speak HTTP/2 alone. False; a peer's true.
    pub http2_only: bool,
    /// A connection over loopback may also speak plaintext; its first byte tells. For
    /// `kubectl port-forward`. False.
    pub plaintext_on_loopback: bool,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(5),
            header_timeout: Duration::from_secs(5),
            body_deadline: Some(Duration::from_secs(30)),
            send_timeout: Duration::from_secs(60),
            max_connections: 10_000,
            max_connections_per_ip: 1_000,
            max_concurrent_streams: 200,
            max_frame_size: 16 << 10,
            stream_window: 1 << 20,
            connection_window: 2 << 20,
            max_send_buffer: 400 << 10,
            keepalive_interval: Duration::from_secs(20),
            keepalive_timeout: Duration::from_secs(20),
            max_header_list_size: 16 << 10,
            max_pending_resets: 20,
            max_error_resets: 64,
            http2_only: false,
            plaintext_on_loopback: false,
        }
    }
}

impl ServeConfig {
    /// For the gRPC of a peer: HTTP/2 alone, frames of a piece, windows for links with a delay, and
    /// no deadline on bodies, because a stream between peers may rest.
    pub fn peer() -> Self {
        Self {
            body_deadline: None,
            max_frame_size: 1 << 20,
            stream_window: 8 << 20,
            connection_window: 16 << 20,
            max_send_buffer: 2 << 20,
            http2_only: true,
            ..Self::default()
        }
    }

    pub(super) fn builder(&self) -> Builder<TokioExecutor> {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(64 << 10)
            .half_close(false);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.max_concurrent_streams)
            .max_frame_size(self.max_frame_size)
            .initial_stream_window_size(self.stream_window)
            .initial_connection_window_size(self.connection_window)
            .max_send_buf_size(self.max_send_buffer)
            .keep_alive_interval(self.keepalive_interval)
            .keep_alive_timeout(self.keepalive_timeout)
            .max_header_list_size(self.max_header_list_size)
            .max_pending_accept_reset_streams(self.max_pending_resets)
            .max_local_error_reset_streams(self.max_error_resets);
        if self.http2_only { builder.http2_only() } else { builder }
    }
}
