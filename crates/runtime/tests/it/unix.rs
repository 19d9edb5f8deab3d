//! The unix socket.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use axum::{Extension, Router, routing::get};
use peral_runtime::{
    Shutdown,
    serve::{Caller, LocalCaller, serve_unix},
};
use tokio::net::UnixStream;

use crate::support::{Answer, PATIENCE, describe, http2, read, request};

fn router() -> Router {
    let handler = |Extension(caller): Extension<Caller>,
                   Extension(local): Extension<LocalCaller>| async move {
        format!("{} pid {:?}", describe(&caller), local.pid)
    };
    Router::new().route("/", get(handler))
}

#[tokio::test]
async fn the_socket_is_ours_alone_and_goes_with_us() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peral.sock");
    // What a process that was killed leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let shutdown = Shutdown::new();
    serve_unix(&path, router(), shutdown.clone()).await.unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);

    let (mut sender, _task) = http2(UnixStream::connect(&path).await.unwrap()).await;
    let answer = read(sender.send_request(request("/")).await.unwrap()).await;
    assert_eq!(
        answer,
        Answer::ok(format!("nobody 127.0.0.1 plain pid Some({})", std::process::id()))
    );

    let error = serve_unix(&path, router(), Shutdown::new()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "{error}");

    assert!(shutdown.finish(PATIENCE).await);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_successors_socket_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peral.sock");
    let (old, new) = (Shutdown::new(), Shutdown::new());
    serve_unix(&path, router(), old.clone()).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    serve_unix(&path, router(), new.clone()).await.unwrap();
    assert!(old.finish(PATIENCE).await);
    assert!(UnixStream::connect(&path).await.is_ok());
    assert!(new.finish(PATIENCE).await);
}

#[tokio::test]
async fn a_path_that_is_too_long_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x".repeat(120)).join("peral.sock");
    let error = serve_unix(&path, router(), Shutdown::new()).await.unwrap_err();
    assert!(error.to_string().contains("peral.sock"), "{error}");
}
