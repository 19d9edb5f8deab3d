//! A process with telemetry that does a little work: started by the tests of `processes`.

use std::{
    net::Ipv4Addr,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
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
use tower::ServiceExt;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    telemetry: TelemetryArgs,
}

/// What the child said, and how long it was held up.
pub struct Said {
    pub logs: String,
    pub metrics: String,
    pub trace: String,
    pub setup: Duration,
    pub ending: Duration,
}

/// Runs the child with these environment variables.
pub fn run(runtime: &str, variables: &[(&str, &str)]) -> Said {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "--nocapture", "child::child"])
        .env("CHILD_RUNTIME", runtime);
    command
        .env_remove("PERAL_LOG")
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .env_remove("TRACEPARENT")
        .envs(variables.iter().copied());
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let (out, logs) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{out}\n{logs}");
    let said = |name: &str| {
        out.split_once(&format!("<{name}>"))
            .and_then(|(_, rest)| rest.split_once(&format!("</{name}>")))
            .unwrap()
            .0
            .to_owned()
    };
    let time = |name: &str| Duration::from_millis(said(name).parse().unwrap());
    Said {
        logs,
        metrics: said("metrics"),
        trace: said("trace"),
        setup: time("setup"),
        ending: time("ending"),
    }
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
    let start = Instant::now();
    let guard =
        Telemetry::init(Args::parse_from(["child"]).telemetry, "peral-child", Some("child-1"))
            .unwrap();
    println!("<setup>{}</setup>", start.elapsed().as_millis());

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

    let start = Instant::now();
    match std::env::var("CHILD_RUNTIME").as_deref() {
        // As a short command does that returns early.
        Ok("one") => drop(guard),
        _ => guard.shutdown().await,
    }
    println!("<ending>{}</ending>", start.elapsed().as_millis());
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
