//! Who calls: the middleware of every route that is not marked public.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, header, request::Parts};
use peral_wire::{Failure, fail, rest::accounts::Role};

use super::{class::Class, problem::ProblemResponse};
use crate::{
    service::{App, Caller, PeerCaller},
    token::Subject,
};

/// What one route asks of its callers.
#[derive(Clone)]
pub(super) struct RouteAuth {
    pub app: Arc<App>,
    pub class: Class,
    /// Take the token's word: the store checks the caller itself.
    pub light: bool,
}

/// Lets a request pass if its bearer token is good and its caller may use routes of this class; the
/// caller goes along with it.
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
    admits(route.class, &caller)?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

fn bearer(headers: &HeaderMap) -> Result<&str, Failure> {
    let missing = || fail!(Unauthenticated, "this needs a bearer token; log in first");
    let value =
        headers.get(header::AUTHORIZATION).ok_or_else(missing)?.to_str().map_err(|_| missing())?;
    let (scheme, token) = value.split_once(' ').ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(missing()) }
}

fn admits(class: Class, caller: &Caller) -> Result<(), Failure> {
    let user = matches!(caller.subject, Subject::User { .. });
    match class {
        Class::Public | Class::Proof | Class::Member => Ok(()),
        Class::User if user => Ok(()),
        Class::User => Err(fail!(Forbidden, "this is for users, not for peers; log in")),
        Class::Peer if !user => Ok(()),
        Class::Peer => Err(fail!(Forbidden, "this is for peers, not for users")),
        Class::Admin if user && caller.role == Role::Admin => Ok(()),
        Class::Admin => Err(fail!(Forbidden, "this is for administrators")),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemResponse> {
        let caller = parts.extensions.get::<Self>().cloned();
        // Only a route that is marked public could come here without one, and no such route takes a
        // caller.
        caller
            .ok_or_else(|| fail!(Unauthenticated, "this needs a bearer token; log in first").into())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PeerCaller {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let caller = Caller::from_request_parts(parts, state).await?;
        Ok(caller.peer()?)
    }
}

/// Where a request comes from.
pub struct Remote(pub std::net::IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Remote {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemResponse> {
        let caller = parts.extensions.get::<peral_runtime::serve::Caller>();
        let remote = caller.map(|caller| caller.remote.ip());
        remote.map(Self).ok_or_else(|| fail!(Internal, "a request came by no connection").into())
    }
}
