//! The layer that traces and measures requests.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use axum::{
    body::{Body, Bytes},
    extract::{MatchedPath, Request},
    response::Response,
};
use http::Method;
use http_body::{Frame, SizeHint};
use opentelemetry::{KeyValue, Value, metrics::Histogram};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field::Empty};

use super::{ErrorType, Kind, RouteClass, extract, grpc, join};
use crate::serve::Caller;

/// Seconds, as the conventions advise for both histograms.
const BOUNDARIES: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Stands for what only a stranger would say, so that strangers make no new series.
const OTHER: &str = "_OTHER";

#[derive(Debug, Clone)]
pub(super) struct ObserveLayer {
    kind: Kind,
    duration: Histogram<f64>,
}

impl ObserveLayer {
    pub(super) fn new(kind: Kind) -> Self {
        let (name, about) = match kind {
            Kind::Http => ("http.server.request.duration", "Duration of HTTP requests served"),
            Kind::Grpc => ("rpc.server.call.duration", "Duration of remote procedure calls served"),
        };
        let meter = opentelemetry::global::meter("peral");
        let duration = meter
            .f64_histogram(name)
            .with_unit("s")
            .with_description(about)
            .with_boundaries(BOUNDARIES.to_vec())
            .build();
        Self { kind, duration }
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe { inner, layer: self.clone() }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Observe<S> {
    inner: S,
    layer: ObserveLayer,
}

impl<S> Service<Request> for Observe<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let mut observed = Observed::begin(&self.layer, &request);
        let answer = self.inner.call(request).instrument(observed.span.clone());
        Box::pin(async move {
            let response = answer.await?;
            observed.answered(&response);
            Ok(response.map(|body| Body::new(ObservedBody { inner: body, observed })))
        })
    }
}

/// A request under observation. Dropping it is the end of the request, whichever way it ends.
struct Observed {
    span: Span,
    layer: ObserveLayer,
    start: Instant,
    method: String,
    route: Option<String>,
    scheme: &'static str,
    class: Option<RouteClass>,
    error: Option<ErrorType>,
    http_status: Option<u16>,
    grpc_status: Option<usize>,
}

impl Observed {
    fn begin(layer: &ObserveLayer, request: &Request) -> Self {
        let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
        let scheme = if request.extensions().get::<Caller>().is_some_and(|caller| caller.encrypted)
        {
            "https"
        } else {
            "http"
        };
        let (span, method) = match layer.kind {
            Kind::Http => http_span(request, route.as_deref(), scheme),
            Kind::Grpc => grpc_span(request),
        };
        join(&span, extract(request.headers()));
        let (layer, start) = (layer.clone(), Instant::now());
        Self {
            span,
            layer,
            start,
            method,
            route,
            scheme,
            class: None,
            error: None,
            http_status: None,
            grpc_status: None,
        }
    }

    fn answered(&mut self, response: &Response) {
        self.class = response.extensions().get().copied();
        self.error = response.extensions().get().copied();
        self.http_status = Some(response.status().as_u16());
        self.grpc_status = grpc::status(response.headers());
    }

    /// What the metrics are told.
    fn labels(&self) -> Vec<KeyValue> {
        let given = match self.layer.kind {
            Kind::Http => self.http_labels(),
            Kind::Grpc => self.grpc_labels(),
        };
        let error = self.error_type().map(|error| ("error.type", error));
        given.into_iter().chain(error).map(|(key, value)| KeyValue::new(key, value)).collect()
    }

    fn http_labels(&self) -> Vec<(&'static str, Value)> {
        let mut labels = vec![
            ("http.request.method", self.method.clone().into()),
            ("url.scheme", self.scheme.into()),
        ];
        labels.extend(self.route.clone().map(|route| ("http.route", route.into())));
        labels.extend(self.class.map(|RouteClass(class)| ("peral.route.class", class.into())));
        labels.extend(
            self.http_status.map(|status| ("http.response.status_code", i64::from(status).into())),
        );
        labels
    }

    fn grpc_labels(&self) -> Vec<(&'static str, Value)> {
        let status = self.grpc_ended();
        let known = self.route.is_some() && status != grpc::UNIMPLEMENTED;
        let method = if known { self.method.clone() } else { OTHER.to_owned() };
        vec![
            ("rpc.system.name", "grpc".into()),
            ("rpc.method", method.into()),
            ("rpc.response.status_code", grpc::name(status).into()),
        ]
    }

    /// No status means that the caller went away before there was one.
    fn grpc_ended(&self) -> usize {
        self.grpc_status.unwrap_or(grpc::CANCELLED)
    }

    /// What kind of failure it was, if it was one: for HTTP also the caller's.
    fn error_type(&self) -> Option<Value> {
        match self.layer.kind {
            Kind::Http => {
                let status = || {
                    self.http_status
                        .filter(|status| *status >= 500)
                        .map(|status| Value::from(status.to_string()))
                };
                self.error.map(|ErrorType(error)| error.into()).or_else(status)
            }
            Kind::Grpc => Some(self.grpc_ended())
                .filter(|status| grpc::is_servers_fault(*status))
                .map(|status| grpc::name(status).into()),
        }
    }

    /// Is it the server's failure?
    fn failed(&self) -> bool {
        match self.layer.kind {
            Kind::Http => self.http_status.is_some_and(|status| status >= 500),
            Kind::Grpc => grpc::is_servers_fault(self.grpc_ended()),
        }
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        match self.layer.kind {
            Kind::Http => self
                .http_status
                .map(|status| self.span.record("http.response.status_code", i64::from(status))),
            Kind::Grpc => {
                Some(self.span.record("rpc.response.status_code", grpc::name(self.grpc_ended())))
            }
        };
        if let Some(error) = self.error_type() {
            self.span.record("error.type", error.as_str().as_ref());
        }
        if self.failed() {
            self.span.record("otel.status_code", "ERROR");
        }
        let took = self.start.elapsed();
        self.span.in_scope(|| {
            tracing::debug!(
                status = self.http_status,
                took_ms = took.as_secs_f64() * 1e3,
                "request done"
            );
        });
        self.layer.duration.record(took.as_secs_f64(), &self.labels());
    }
}

fn http_span(request: &Request, route: Option<&str>, scheme: &str) -> (Span, String) {
    let method = method_of(request.method());
    let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    let span = tracing::info_span!(
        "request",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        url.scheme = scheme,
        url.path = request.uri().path(),
        http.response.status_code = Empty,
        error.type = Empty,
    );
    (span, method.to_owned())
}

fn grpc_span(request: &Request) -> (Span, String) {
    let method = request.uri().path().trim_start_matches('/').to_owned();
    let span = tracing::info_span!(
        "call",
        otel.name = method,
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = Empty,
        error.type = Empty,
    );
    (span, method)
}

fn method_of(method: &Method) -> &str {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
        Method::CONNECT,
        Method::TRACE,
    ];
    if known.contains(method) { method.as_str() } else { OTHER }
}

/// The answer's body: work done while it is polled belongs to the span, its trailers say how a call
/// ended, its end is the request's end.
struct ObservedBody {
    inner: Body,
    observed: Observed,
}

impl http_body::Body for ObservedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let _entered = this.observed.span.enter();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(status) = frame.trailers_ref().and_then(grpc::status)
        {
            this.observed.grpc_status = Some(status);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
