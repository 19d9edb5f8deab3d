//! A collector that notes what it is sent.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use peral_runtime::{
    Ports, Shutdown,
    serve::{Listener, ServeConfig, serve},
};

/// Paths and bodies of the calls it got.
pub type Calls = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

pub fn start() -> (SocketAddr, Calls) {
    let calls = Calls::default();
    let noted = Arc::clone(&calls);
    let router = Router::new().fallback(move |request: Request| async move {
        let path = request.uri().path().to_owned();
        let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
        noted.lock().unwrap().push((path, body.to_vec()));
        answer()
    });
    let listener = Listener::bind(Ipv4Addr::LOCALHOST.into(), Ports::one(0)).unwrap();
    let address = listener.local_addr();
    tokio::spawn(serve(
        listener,
        ServeConfig { http2_only: true, ..ServeConfig::default() },
        None,
        router,
        Shutdown::new(),
    ));
    (address, calls)
}

/// An empty gRPC message and the status OK.
pub fn answer() -> Response {
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        http::HeaderValue::from_static("0"),
    )]);
    let body =
        Full::new(Bytes::from_static(&[0; 5])).with_trailers(async move { Some(Ok(trailers)) });
    Response::builder().header("content-type", "application/grpc").body(Body::new(body)).unwrap()
}
