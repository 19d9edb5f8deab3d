//! How a listener ends.

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::get};
use http::StatusCode;
use peral_runtime::serve::ServeConfig;
use tokio::{net::TcpStream, sync::Notify, time::timeout};

use crate::support::{Answer, PATIENCE, connect, http1, http2, read, request, start};

/// `/slow` says when it has begun and then waits for leave to end.
fn slow(begun: &Arc<Notify>, leave: &Arc<Notify>) -> Router {
    let (begun, leave) = (Arc::clone(begun), Arc::clone(leave));
    let handler = move || async move {
        begun.notify_one();
        leave.notified().await;
        "done"
    };
    Router::new().route("/slow", get(handler)).route("/", get(|| async { "quick" }))
}

#[tokio::test]
async fn a_drain_ends_idle_connections_and_lets_running_requests_finish() {
    let (begun, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let server = start(
        ServeConfig { header_timeout: Duration::from_secs(60), ..ServeConfig::default() },
        None,
        slow(&begun, &leave),
    );
    let (mut idle, idle_task) = http1(connect(server.address).await).await;
    assert_eq!(idle.send_request(request("/")).await.unwrap().status(), StatusCode::OK);
    let (mut idle2, idle2_task) = http2(connect(server.address).await).await;
    assert_eq!(idle2.send_request(request("/")).await.unwrap().status(), StatusCode::OK);
    let (mut one, one_task) = http1(connect(server.address).await).await;
    let (mut two, two_task) = http2(connect(server.address).await).await;
    let first =
        tokio::spawn(async move { read(one.send_request(request("/slow")).await.unwrap()).await });
    begun.notified().await;
    let second =
        tokio::spawn(async move { read(two.send_request(request("/slow")).await.unwrap()).await });
    begun.notified().await;

    let shutdown = server.shutdown.clone();
    let finish = tokio::spawn(async move { shutdown.finish(PATIENCE).await });
    for task in [idle_task, idle2_task] {
        timeout(PATIENCE, task).await.expect("an idle connection outlives the drain").unwrap();
    }
    let refused =
        timeout(PATIENCE, async { while TcpStream::connect(server.address).await.is_ok() {} })
            .await;
    assert!(refused.is_ok(), "new connections are still accepted");
    assert!(!first.is_finished() && !second.is_finished() && !finish.is_finished());

    leave.notify_waiters();
    for answer in [first, second] {
        assert_eq!(timeout(PATIENCE, answer).await.unwrap().unwrap(), Answer::ok("done"));
    }
    assert!(timeout(PATIENCE, finish).await.unwrap().unwrap(), "all ended within the grace");
    for task in [one_task, two_task] {
        timeout(PATIENCE, task).await.expect("a connection outlives its last request").unwrap();
    }
}

#[tokio::test]
async fn what_outlasts_the_grace_is_cut_off() {
    let (begun, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let server = start(ServeConfig::default(), None, slow(&begun, &leave));
    let (mut sender, _task) = http1(connect(server.address).await).await;
    let stuck = tokio::spawn(async move { sender.send_request(request("/slow")).await.is_err() });
    begun.notified().await;
    assert!(!server.shutdown.finish(Duration::from_millis(100)).await);
    assert!(timeout(PATIENCE, stuck).await.expect("the request outlives the kill").unwrap());
}
