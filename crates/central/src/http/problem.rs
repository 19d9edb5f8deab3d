//! Refusals as RFC 9457 problem documents.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use peral_runtime::propagate::ErrorType;
use peral_wire::{ErrorCode, Failure, fail};

/// What a handler answers: a body, or a problem document.
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
            tracing::error!(error = %failure, "a request failed by a defect");
            // What went wrong inside is for the log: it may name paths or statements.
            failure.detail =
                "central could not do this because of a defect; its log says more under this \
                trace id"
                    .into();
        }
        let mut problem = failure.problem(trace);
        let status = status
            .or_else(|| StatusCode::from_u16(problem.status).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        problem.status = status.as_u16();
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match failure.code {
            ErrorCode::Unauthenticated => {
                drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
            }
            ErrorCode::RateLimited => {
                drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60")));
            }
            ErrorCode::Busy | ErrorCode::Unavailable => {
                drop(headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1")));
            }
            _ => {}
        }
        response.extensions_mut().insert(failure.code);
        response.extensions_mut().insert(ErrorType(failure.code.as_str()));
        response
    }
}

/// For paths that are no route. Whoever calls: there is nothing to protect.
pub async fn no_route() -> ProblemResponse {
    fail!(NotFound, "there is no such route; /v1/openapi.json lists them all").into()
}

/// For methods that a route does not have.
pub async fn no_method() -> ProblemResponse {
    ProblemResponse::with_status(
        fail!(
            InvalidArgument,
            "this route does not take this method; /v1/openapi.json lists what it takes"
        ),
        StatusCode::METHOD_NOT_ALLOWED,
    )
}
