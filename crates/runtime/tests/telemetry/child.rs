//! A process with telemetry that does a little work: started by the tests of `processes`.

use std::{
    net::Ipv4Addr,
    process::{Command, Stdio},
};

use axum::{Router, body::Body, routing::get};
use clap::Parser;
use http::Request;
use peral_runtime::{
    Ports, Shutdown, Telemetry, TelemetryArgs,
    admin::{Checks, serve_admin},
    propagate::{Kind, trace_id, traced},
    serve::Listener,
};
use peral_testkit::Process;
use tower::ServiceExt;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    telemetry: TelemetryArgs,
}

/// What the child said.
pub struct Told {
    pub logs: String,
    pub metrics: String,
    pub trace: String,
}

/// Runs the child with these environment variables.
pub fn run(runtime: &str, variables: &[(&str, &str)]) -> Told {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "--nocapture", "child::child"])
        .env("CHILD_RUNTIME", runtime);
    command
        .env_remove("PERAL_LOG")
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .env_remove("TRACEPARENT")
        .envs(variables.iter().copied());
    command.stdin(Stdio::null());
    let said = Process::spawn(command).finish().success();
    let part = |name: &str| {
        said.out
            .split_once(&format!("<{name}>"))
            .and_then(|(_, rest)| rest.split_once(&format!("</{name}>")))
            .unwrap()
            .0
            .to_owned()
    };
    Told { metrics: part("metrics"), trace: part("trace"), logs: said.err }
}

#[test]
#[ignore = "started by other tests, in a process of its own"]
fn child() {
    let mut builder = match std::env::var("CHILD_RUNTIME").as_deref() {
        Ok("one") => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build().unwrap().block_on(work());
}

async fn work() {
    let guard =
        Telemetry::init(Args::parse_from(["child"]).telemetry, "peral-child", Some("child-1"))
            .unwrap();

    let hello = || async {
        tracing::info!(pears = 3, name = "conférence", "picking");
        trace_id().unwrap()
    };
    let router = traced(Router::new().route("/pears/{id}", get(hello)), Kind::Http);
    let response =
        router.oneshot(Request::get("/pears/7").body(Body::empty()).unwrap()).await.unwrap();
    let trace = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    println!("<trace>{}</trace>", String::from_utf8(trace.to_vec()).unwrap());
    tracing::warn!("outside of any trace");

    let shutdown = Shutdown::new();
    let listener = Listener::bind(Ipv4Addr::LOCALHOST.into(), Ports::one(0)).unwrap();
    let address = listener.local_addr();
    let admin =
        tokio::spawn(serve_admin(listener, Checks::new(), guard.metrics(), shutdown.clone()));
    println!("<metrics>{}</metrics>", scrape(address).await);
    shutdown.kill();
    admin.await.unwrap();

    match std::env::var("CHILD_RUNTIME").as_deref() {
        // As a short command does that returns early.
        Ok("one") => drop(guard),
        _ => guard.shutdown().await,
    }
}

async fn scrape(address: std::net::SocketAddr) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: child\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}
