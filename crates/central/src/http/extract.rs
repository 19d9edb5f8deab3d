//! What handlers take from a request. A request that cannot be read gets a problem document.

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
};
use http::{StatusCode, request::Parts};
use peral_model::FileName;
use peral_wire::{ErrorCode, Failure, fail};
use serde::de::DeserializeOwned;

use super::problem::ProblemResponse;

/// A JSON body.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, state: &S) -> Result<Self, ProblemResponse> {
        let Json(body) = Json::<T>::from_request(request, state)
            .await
            .map_err(|rejection| unreadable(&rejection))?;
        Ok(Self(body))
    }
}

fn unreadable(rejection: &JsonRejection) -> ProblemResponse {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => fail!(
            TooLarge,
            "the request is too large for this route; split it into smaller requests"
        )
        .into(),
        _ => fail!(InvalidArgument, "cannot read the request: {}", rejection.body_text()).into(),
    }
}

/// Ids in the path.
pub struct PathParams<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathParams<T> {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        let Path(value) = path.map_err(|rejection| {
            fail!(InvalidArgument, "cannot read the path: {}", rejection.body_text())
        })?;
        Ok(Self(value))
    }
}

/// A file name, which is the rest of the path.
pub struct PathName(pub FileName);

impl<S: Send + Sync> FromRequestParts<S> for PathName {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|rejection| {
            fail!(InvalidName, "cannot read the name: {}", rejection.body_text())
        })?;
        let name = FileName::new(text)
            .map_err(|error| Failure::new(ErrorCode::InvalidName, error.to_string()))?;
        Ok(Self(name))
    }
}

/// The query of a URL.
pub struct QueryParams<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        let Query(value) = query.map_err(|rejection| {
            fail!(InvalidArgument, "cannot read the query: {}", rejection.body_text())
        })?;
        Ok(Self(value))
    }
}
