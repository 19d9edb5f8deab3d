//! One trace across processes and tasks: W3C trace context in and out, and a server span for each
//! request.

mod context;
mod grpc;
mod kind;
mod observe;

use axum::Router;

pub(crate) use context::{extract, join};
pub use context::{follow, inject, join_trace, trace_id};
pub use kind::{ErrorType, Kind, RouteClass};

/// Opens a server span for each request of a router, as a child of what the caller sent along, and
/// measures how long it takes until the last byte of the answer. Routes added afterwards are not
/// covered.
pub fn traced(router: Router, kind: Kind) -> Router {
    router.layer(observe::ObserveLayer::new(kind))
}
