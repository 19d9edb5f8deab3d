//! The trace context of the current span, in and out.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{Context, propagation::TextMapPropagator, trace::TraceContextExt};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Writes the current span's context into the headers of a call, so that the other end goes on with
/// the trace.
pub fn inject(headers: &mut HeaderMap) {
    TraceContextPropagator::new()
        .inject_context(&Span::current().context(), &mut HeaderInjector(headers));
}

/// The context that came with a request.
pub(crate) fn extract(headers: &HeaderMap) -> Context {
    // Not on top of the current context: what does not come with the request is not its parent.
    TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers))
}

/// Makes a new span go on with the current span's trace without holding that one open, as a child
/// does that outlives its parent: for work that a request begins and does not wait for. The span
/// must have been made with `parent: None`, and not have been entered.
#[must_use]
pub fn follow(span: Span) -> Span {
    join(&span, Span::current().context());
    span
}

/// Makes a new span go on with a trace that began elsewhere. False if the text is not
/// a W3C `traceparent`.
pub fn join_trace(span: &Span, traceparent: &str) -> bool {
    let value = HeaderValue::from_str(traceparent.trim());
    value.is_ok_and(|value| join(span, extract(&HeaderMap::from_iter([(TRACEPARENT, value)]))))
}

pub(crate) fn join(span: &Span, parent: Context) -> bool {
    let valid = parent.span().span_context().is_valid();
    if valid {
        // Fails only without telemetry, and then there is no trace to join.
        drop(span.set_parent(parent));
    }
    valid
}

/// The id of the trace that the current span belongs to: what users quote when they report a
/// failure.
pub fn trace_id() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id().to_string())
}
