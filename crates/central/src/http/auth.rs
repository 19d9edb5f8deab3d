//! Authentication: the middleware of every route that needs a token.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, header, request::Parts};
use peral_wire::{Failure, fail, rest::accounts::Role};

use super::{access::RouteAccess, problem::ProblemResponse};
use crate::{
    service::{App, Caller, PeerCaller},
    token::Subject,
};

/// What one route requires of its callers.
#[derive(Clone)]
pub(super) struct RouteAuth {
    pub app: Arc<App>,
    pub access: RouteAccess,
    /// Trust the token alone: the store checks the caller itself.
    pub light: bool,
}

/// Passes a request on, with its caller, if its bearer token is valid and its caller may use the
/// route.
pub async fn authenticate(
    State(route): State<RouteAuth>,
    mut request: Request,
    next: Next,
) -> Result<Response, ProblemResponse> {
    let token = bearer(request.headers())?;
    let caller = if route.light {
        route.app.caller_by_token(token)?
    } else {
        route.app.caller(token).await?
    };
    admits(route.access, &caller)?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

fn bearer(headers: &HeaderMap) -> Result<&str, Failure> {
    let missing = || fail!(Unauthenticated, "this request needs a bearer token; log in first");
    let value =
        headers.get(header::AUTHORIZATION).ok_or_else(missing)?.to_str().map_err(|_| missing())?;
    let (scheme, token) = value.split_once(' ').ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(missing()) }
}

fn admits(access: RouteAccess, caller: &Caller) -> Result<(), Failure> {
    let user = matches!(caller.subject, Subject::User { .. });
    match access {
        RouteAccess::Public | RouteAccess::Proof | RouteAccess::Member => Ok(()),
        RouteAccess::User if user => Ok(()),
        RouteAccess::User => Err(fail!(Forbidden, "only users may do this, not peers; log in")),
        RouteAccess::Peer if !user => Ok(()),
        RouteAccess::Peer => Err(fail!(Forbidden, "only peers may do this, not users")),
        RouteAccess::Admin if user && caller.role == Role::Admin => Ok(()),
        RouteAccess::Admin => Err(fail!(Forbidden, "only administrators may do this")),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemResponse> {
        let caller = parts.extensions.get::<Self>().cloned();
        // Only public routes get here without a caller, and none of them asks for one.
        caller.ok_or_else(|| {
            fail!(Unauthenticated, "this request needs a bearer token; log in first").into()
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PeerCaller {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let caller = Caller::from_request_parts(parts, state).await?;
        Ok(caller.peer()?)
    }
}

/// The address from which a request comes.
pub struct RemoteAddress(pub std::net::IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for RemoteAddress {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemResponse> {
        let caller = parts.extensions.get::<peral_runtime::serve::Caller>();
        let remote = caller.map(|caller| caller.remote.ip());
        remote.map(Self).ok_or_else(|| fail!(Internal, "a request has no connection").into())
    }
}
