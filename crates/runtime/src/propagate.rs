//! One trace across processes: W3C trace context in and out, and a server span for each request.

mod grpc;
mod observe;

use axum::Router;
use http::HeaderMap;
use opentelemetry::{Context, propagation::TextMapPropagator, trace::TraceContextExt};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Which conventions describe the requests of a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `http.request.method`, `http.route`, `http.response.status_code`; histogram `http.server.request.duration`.
    Http,
    /// `rpc.system.name`, `rpc.method`, `rpc.response.status_code`; histogram `rpc.server.call.duration`.
    Grpc,
}

/// Writes the current span's context into the headers of a call, so that the other end goes on with the trace.
pub fn inject(headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut HeaderInjector(headers));
}

/// The context that came with a request.
pub(crate) fn extract(headers: &HeaderMap) -> Context {
    // Not on top of the current context: what does not come with the request is not its parent.
    TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers))
}

/// The id of the trace that the current span belongs to: what users quote when they report a failure.
pub fn trace_id() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id().to_string())
}

/// Opens a server span for each request of a router, as a child of what the caller sent along, and measures how long it takes until the
/// last byte of the answer. Routes added afterwards are not covered.
pub fn traced(router: Router, kind: Kind) -> Router {
    router.layer(observe::ObserveLayer::new(kind))
}
