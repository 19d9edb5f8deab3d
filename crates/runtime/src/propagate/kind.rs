//! What a request is, for its span and its metrics.

/// Which conventions describe the requests of a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `http.request.method`, `http.route`, `http.response.status_code`, `url.scheme`, `error.type`
    /// and our own `peral.route.class`; histogram `http.server.request.duration`.
    Http,
    /// `rpc.system.name`, `rpc.method`, `rpc.response.status_code`; histogram
    /// `rpc.server.call.duration`.
    Grpc,
}

/// Who may use the route that answered, for the metrics of requests: in the extensions of a
/// response. One of a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteClass(pub &'static str);

/// What kind of failure a response is, for spans and metrics: in its extensions. One of a few
/// words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorType(pub &'static str);
