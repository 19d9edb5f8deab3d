//! The REST interface: routes, and what applies to every request.

mod access;
mod accounts;
mod auth;
mod docs;
mod extract;
mod files;
mod guard;
mod holdings;
mod peers;
mod problem;
mod sessions;
mod table;
mod tokens;

use std::sync::Arc;

use axum::{Router, middleware};
use http::{HeaderName, HeaderValue, header};
use peral_runtime::propagate::{Kind, traced};
use tower_http::set_header::SetResponseHeaderLayer;

pub use access::RouteAccess;
pub use table::{Route, document, routes};

use crate::service::App;

/// Security headers of every answer. The page at `/docs` has inline styles; nothing else is
/// loosened.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
];

/// The whole interface.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let routes = table::router(app)
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method);
    let guarded = routes.layer(middleware::from_fn_with_state(
        Arc::new(guard::RequestGuard::new(&app.config.limits)),
        guard::guard,
    ));
    let headed = HEADERS.into_iter().fold(guarded, |router, (name, value)| {
        router.layer(SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value)))
    });
    traced(headed, Kind::Http)
}
