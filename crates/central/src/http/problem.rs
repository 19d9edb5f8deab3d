//! Failures as RFC 9457 problem documents.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use peral_runtime::propagate::ErrorType;
use peral_wire::{ErrorCode, Failure, fail};

/// The answer of a handler: a body, or a problem document.
pub type Answer<T> = Result<Json<T>, ProblemResponse>;

/// A failure on its way to the caller.
#[derive(Debug)]
pub struct ProblemResponse {
    failure: Failure,
    status: Option<StatusCode>,
}

impl ProblemResponse {
    /// A failure whose HTTP status is not the usual one of its code.
    pub fn with_status(failure: Failure, status: StatusCode) -> Self {
        Self { failure, status: Some(status) }
    }
}

impl From<Failure> for ProblemResponse {
    fn from(failure: Failure) -> Self {
        Self { failure, status: None }
    }
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> Response {
        let trace = peral_runtime::propagate::trace_id();
        let Self { mut failure, status } = self;
        if failure.code == ErrorCode::Internal {
            tracing::error!(error = %failure, "internal error");
            // The reason is only for the log: it may name paths or statements.
            failure.detail = "internal error in central; see its log for this trace id".into();
        }
        let mut problem = failure.problem(trace);
        let status = status
            .or_else(|| StatusCode::from_u16(problem.status).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        problem.status = status.as_u16();
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = advice(failure.code) {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response.extensions_mut().insert(failure.code);
        response.extensions_mut().insert(ErrorType(failure.code.as_str()));
        response
    }
}

/// The header that tells a client what to do about a failure.
fn advice(code: ErrorCode) -> Option<(HeaderName, &'static str)> {
    match code {
        ErrorCode::Unauthenticated => Some((header::WWW_AUTHENTICATE, "Bearer")),
        ErrorCode::RateLimited => Some((header::RETRY_AFTER, "60")),
        ErrorCode::Busy | ErrorCode::Unavailable => Some((header::RETRY_AFTER, "1")),
        _ => None,
    }
}

/// For paths without a route. Needs no token, because there is nothing to protect.
pub async fn no_route() -> ProblemResponse {
    fail!(NotFound, "this route does not exist; /v1/openapi.json lists all routes").into()
}

/// For methods that a route does not support.
pub async fn no_method() -> ProblemResponse {
    ProblemResponse::with_status(
        fail!(
            InvalidArgument,
            "this route does not support this method; /v1/openapi.json lists the methods"
        ),
        StatusCode::METHOD_NOT_ALLOWED,
    )
}
