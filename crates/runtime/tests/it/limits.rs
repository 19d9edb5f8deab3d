//! What a caller cannot do to a listener.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::{get, post},
};
use http::StatusCode;
use peral_runtime::{
    Ports,
    serve::{Listener, ServeConfig},
};
use peral_testkit::until;
use tokio::{io::AsyncWriteExt, sync::Notify};

use crate::support::{
    PATIENCE, connect, fetch, http1, http2, read, request, start, until_closed, whoami,
};

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn heads_that_come_too_slowly_are_cut_off() {
    let starts: [&[u8]; 4] =
        [b"", b"G", b"GET / HTTP/1.1\r\nHost: peral\r\nX-Never-End", b"PRI * HTTP/2.0\r\n\r\nS"];
    for http2_only in [false, true] {
        let server = start(
            ServeConfig { header_timeout: SHORT, http2_only, ..ServeConfig::default() },
            None,
            whoami(),
        );
        for first in starts {
            let mut stream = connect(server.address).await;
            stream.write_all(first).await.unwrap();
            let sent = until_closed(stream).await;
            assert!(!sent.windows(6).any(|part| part == b"200 OK"), "{first:?} was answered");
        }
        let (mut sender, _) = http2(connect(server.address).await).await;
        let response = sender.send_request(request("/")).await.unwrap();
        assert_eq!(read(response).await.status, StatusCode::OK, "others are served meanwhile");
    }
}

#[tokio::test]
async fn a_head_that_drips_is_cut_off_at_the_same_time() {
    let server =
        start(ServeConfig { header_timeout: SHORT, ..ServeConfig::default() }, None, whoami());
    let (reading, mut writing) = connect(server.address).await.into_split();
    let drip = tokio::spawn(async move {
        drop(writing.write_all(b"GET / HTTP/1.1\r\nHost: peral\r\nX-Never-Ending: ").await);
        let mut pace = tokio::time::interval(SHORT / 10);
        while writing.write_all(b"x").await.is_ok() {
            pace.tick().await;
        }
    });
    // If each drop gave it more time, it would never end.
    until_closed(reading).await;
    tokio::time::timeout(PATIENCE, drip).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_tiny_request_may_be_answered_late() {
    let leave = Arc::new(Notify::new());
    let given = Arc::clone(&leave);
    let late = move || async move {
        given.notified().await;
        "late"
    };
    let server = start(
        ServeConfig { header_timeout: SHORT, ..ServeConfig::default() },
        None,
        Router::new().route("/", get(late)),
    );
    let mut stream = connect(server.address).await;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    // One that came later and says nothing is cut off: the time for a head is over for both.
    until_closed(connect(server.address).await).await;
    leave.notify_one();
    assert!(until_closed(stream).await.ends_with(b"late"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_reader_that_stops_reading_is_let_go() {
    struct Gone(Option<tokio::sync::oneshot::Sender<()>>);
    impl Drop for Gone {
        fn drop(&mut self) {
            let _ = self.0.take().map(|gone| gone.send(()));
        }
    }
    let (gone, was_gone) = tokio::sync::oneshot::channel();
    let held = Arc::new(std::sync::Mutex::new(Some(Gone(Some(gone)))));
    let endless = move || async move {
        let guard = held.lock().unwrap().take();
        Body::from_stream(futures::stream::repeat_with(move || {
            let _held = &guard;
            Ok::<_, std::io::Error>(Bytes::from_static(&[7; 64 << 10]))
        }))
    };
    let server = start(
        ServeConfig { send_timeout: SHORT, ..ServeConfig::default() },
        None,
        Router::new().route("/", get(endless)),
    );
    let mut stream = connect(server.address).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: peral\r\n\r\n").await.unwrap();
    tokio::time::timeout(PATIENCE, was_gone).await.expect("the answer is kept for ever").unwrap();
}

#[tokio::test]
async fn an_idle_http1_connection_is_closed() {
    let server =
        start(ServeConfig { header_timeout: SHORT, ..ServeConfig::default() }, None, whoami());
    let mut stream = connect(server.address).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: peral\r\n\r\n").await.unwrap();
    let sent = until_closed(stream).await;
    assert!(sent.starts_with(b"HTTP/1.1 200 OK"));
}

/// I8: a call ends before its deadline, in success or a typed error.
#[tokio::test]
async fn a_body_that_stops_coming_ends_the_request() {
    let router =
        Router::new().route("/", post(|body: Bytes| async move { body.len().to_string() }));
    let server =
        start(ServeConfig { body_deadline: Some(SHORT), ..ServeConfig::default() }, None, router);
    let mut stream = connect(server.address).await;
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: peral\r\nContent-Length: 10\r\n\r\nonly")
        .await
        .unwrap();
    let sent = until_closed(stream).await;
    assert!(sent.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&sent));
}

/// I7: whatever a remote can grow has a cap.
#[tokio::test]
async fn huge_heads_are_refused() {
    let server = start(ServeConfig::default(), None, whoami());
    let mut stream = connect(server.address).await;
    let head = format!("GET / HTTP/1.1\r\nHost: peral\r\nX-Huge: {}\r\n\r\n", "x".repeat(1 << 20));
    // The server may close before all is written.
    drop(stream.write_all(head.as_bytes()).await);
    let sent = until_closed(stream).await;
    assert!(
        sent.is_empty() || sent.starts_with(b"HTTP/1.1 431"),
        "{}",
        String::from_utf8_lossy(&sent)
    );

    let (mut sender, _) = http2(connect(server.address).await).await;
    let mut huge = request("/");
    huge.headers_mut().insert("x-huge", "x".repeat(20 << 10).parse().unwrap());
    let refused = sender.send_request(huge).await;
    assert!(
        refused.is_err()
            || refused.unwrap().status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    );
}

/// I7: whatever a remote can grow has a cap.
#[tokio::test]
async fn beyond_a_cap_the_newest_connection_is_closed_and_a_place_comes_free_again() {
    for config in [
        ServeConfig { max_connections: 1, ..ServeConfig::default() },
        ServeConfig { max_connections_per_ip: 1, ..ServeConfig::default() },
    ] {
        let server = start(config, None, whoami());
        let (mut first, task) = http1(connect(server.address).await).await;
        assert_eq!(first.send_request(request("/")).await.unwrap().status(), StatusCode::OK);
        assert!(until_closed(connect(server.address).await).await.is_empty());
        drop(first);
        task.await.unwrap();
        until("the place comes free", async || fetch(connect(server.address).await, "/").await)
            .await;
    }
}

#[tokio::test]
async fn the_first_free_port_of_a_range_is_taken() {
    let ip = Ipv4Addr::LOCALHOST.into();
    let taken = Listener::bind(ip, Ports::one(0)).unwrap();
    let port = taken.local_addr().port();
    let error = Listener::bind(ip, Ports::one(port)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    let range: Ports = format!("{port}-{}", port.saturating_add(50)).parse().unwrap();
    let next = Listener::bind(ip, range).unwrap().local_addr().port();
    assert!(next > port && next <= port.saturating_add(50));
}
