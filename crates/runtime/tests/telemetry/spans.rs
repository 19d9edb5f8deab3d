//! Spans of requests, and the context that goes from process to process.

use axum::{
    Router,
    body::{Body, to_bytes},
    routing::{get, post},
};
use http::{HeaderMap, Request, StatusCode};
use opentelemetry::{
    Value,
    trace::{SpanKind, Status, TracerProvider},
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use peral_runtime::propagate::{Kind, follow, inject, join_trace, trace_id, traced};
use tower::ServiceExt;
use tracing_subscriber::{Registry, layer::SubscriberExt};

use crate::collector;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Sends one request through a router that is traced, and returns what was answered and traced.
async fn trace(
    router: Router,
    kind: Kind,
    request: Request<Body>,
) -> (StatusCode, String, SpanData) {
    let spans = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("test"))
        .with_context_activation(false);
    let _default = tracing::subscriber::set_default(Registry::default().with(layer));
    let response = traced(router, kind).oneshot(request).await.unwrap();
    let status = response.status();
    assert!(
        spans.get_finished_spans().unwrap().is_empty(),
        "the span ends with the body, not before"
    );
    let body = to_bytes(response.into_body(), 1000).await.unwrap();
    let mut finished = spans.get_finished_spans().unwrap();
    assert_eq!(finished.len(), 1);
    (status, String::from_utf8_lossy(&body).into_owned(), finished.remove(0))
}

fn attribute(span: &SpanData, key: &str) -> Option<Value> {
    span.attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == key)
        .map(|attribute| attribute.value.clone())
}

fn remote(builder: http::request::Builder) -> http::request::Builder {
    builder.header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
}

#[tokio::test]
async fn a_request_goes_on_with_its_callers_trace_and_hands_it_on() {
    let handler = || async {
        let mut headers = HeaderMap::new();
        inject(&mut headers);
        format!("{} {}", headers["traceparent"].to_str().unwrap(), trace_id().unwrap())
    };
    let router = Router::new().route("/files/{*name}", get(handler));
    let request = remote(Request::get("/files/a/b")).body(Body::empty()).unwrap();
    let (status, handed_on, span) = trace(router, Kind::Http, request).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(span.span_context.trace_id().to_string(), TRACE);
    assert_eq!(span.parent_span_id.to_string(), PARENT);
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.name, "GET /files/{*name}");
    assert_eq!(handed_on, format!("00-{TRACE}-{}-01 {TRACE}", span.span_context.span_id()));
    assert_eq!(attribute(&span, "http.request.method"), Some("GET".into()));
    assert_eq!(attribute(&span, "http.route"), Some("/files/{*name}".into()));
    assert_eq!(attribute(&span, "http.response.status_code"), Some(Value::I64(200)));
    assert_eq!(span.status, Status::Unset);
}

#[tokio::test]
async fn a_request_without_a_context_begins_a_trace_and_strange_methods_make_no_names() {
    let request = Request::builder()
        .method("BREW")
        .uri("/nowhere")
        .header("traceparent", "nonsense")
        .body(Body::empty())
        .unwrap();
    let (status, _, span) =
        trace(Router::new().fallback(|| async { StatusCode::IM_A_TEAPOT }), Kind::Http, request)
            .await;
    assert_eq!(status, StatusCode::IM_A_TEAPOT);
    assert_eq!(span.parent_span_id, opentelemetry::SpanId::INVALID);
    assert_eq!(attribute(&span, "http.request.method"), Some("_OTHER".into()));
    assert_eq!(attribute(&span, "http.route"), None);
}

#[tokio::test]
async fn a_failing_server_marks_its_span() {
    let router = Router::new().route("/", get(|| async { StatusCode::SERVICE_UNAVAILABLE }));
    let (_, _, span) =
        trace(router, Kind::Http, Request::get("/").body(Body::empty()).unwrap()).await;
    assert!(matches!(span.status, Status::Error { .. }), "{:?}", span.status);
}

#[tokio::test]
async fn a_call_is_described_as_one_and_its_trailers_say_how_it_ended() {
    let router =
        Router::new().route("/peral.v1.PeerService/Echo", post(|| async { collector::answer() }));
    let request = remote(Request::post("/peral.v1.PeerService/Echo")).body(Body::empty()).unwrap();
    let (_, _, span) = trace(router, Kind::Grpc, request).await;
    assert_eq!(span.name, "peral.v1.PeerService/Echo");
    assert_eq!(span.span_context.trace_id().to_string(), TRACE);
    assert_eq!(attribute(&span, "rpc.system.name"), Some("grpc".into()));
    assert_eq!(attribute(&span, "rpc.method"), Some("peral.v1.PeerService/Echo".into()));
    assert_eq!(attribute(&span, "rpc.response.status_code"), Some("OK".into()));
    assert_eq!(span.status, Status::Unset);
}

#[tokio::test]
async fn a_call_without_a_body_says_in_its_headers_how_it_ended() {
    let router = Router::new()
        .route("/peral.v1.PeerService/Echo", post(|| async { [("grpc-status", "14")] }));
    let request = Request::post("/peral.v1.PeerService/Echo").body(Body::empty()).unwrap();
    let (_, _, span) = trace(router, Kind::Grpc, request).await;
    assert_eq!(attribute(&span, "rpc.response.status_code"), Some("UNAVAILABLE".into()));
    assert!(matches!(span.status, Status::Error { .. }));
}

#[test]
fn work_that_outlives_its_request_is_of_the_same_trace_and_holds_nothing_open() {
    let spans = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("test"))
        .with_context_activation(false);
    let _default = tracing::subscriber::set_default(Registry::default().with(layer));
    let request = tracing::info_span!("request");
    assert!(
        !join_trace(&request, "nonsense")
            && join_trace(&request, &format!("00-{TRACE}-{PARENT}-01"))
    );
    let job = request.in_scope(|| follow(tracing::info_span!(parent: None, "job")));
    drop(request);
    assert_eq!(spans.get_finished_spans().unwrap().len(), 1, "the request is over, the job is not");
    drop(job);
    let finished = spans.get_finished_spans().unwrap();
    assert!(finished.iter().all(|span| span.span_context.trace_id().to_string() == TRACE));
    assert_eq!(finished[0].parent_span_id.to_string(), PARENT);
    assert_eq!(finished[1].parent_span_id, finished[0].span_context.span_id());
    let alone = follow(tracing::info_span!(parent: None, "alone"));
    drop(alone);
    assert_eq!(
        spans.get_finished_spans().unwrap()[2].parent_span_id,
        opentelemetry::SpanId::INVALID
    );
}
