//! A failure as it crosses a boundary: a code for programs, a sentence for people.

use serde::{Deserialize, Serialize};
use tonic::metadata::MetadataValue;
use utoipa::ToSchema;

use crate::ErrorCode;

/// Metadata key under which a gRPC status carries the code.
pub const CODE_KEY: &str = "peral-code";

/// A typed failure. The detail says what happened, to what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub detail: String,
    /// Trace id of central's request, where it came with one: central's log has more under it.
    pub trace: Option<String>,
}

/// An RFC 9457 problem document.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the code says more.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code again, as the title.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, to what, and what to do.
    pub detail: String,
    /// Stable code of the error.
    pub code: ErrorCode,
    /// Trace id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

impl Failure {
    /// A failure with this code and sentence.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), trace: None }
    }

    /// The problem document of it.
    pub fn problem(&self, instance: Option<String>) -> Problem {
        Problem {
            kind: "about:blank".into(),
            title: self.code.to_string(),
            status: self.code.status(),
            detail: self.detail.clone(),
            code: self.code,
            instance,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { code: problem.code, detail: problem.detail, trace: problem.instance }
    }
}

impl From<Failure> for tonic::Status {
    fn from(failure: Failure) -> Self {
        let mut status = Self::new(failure.code.grpc(), failure.detail);
        status.metadata_mut().insert(CODE_KEY, MetadataValue::from_static(failure.code.as_str()));
        status
    }
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        let named = status
            .metadata()
            .get(CODE_KEY)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok());
        let code = named.unwrap_or_else(|| ErrorCode::from_grpc(status.code()));
        Self { code, detail: status.message().to_owned(), trace: None }
    }
}

/// The innermost reason of an error: the outer ones only say that something went wrong.
pub fn root_of(error: &dyn std::error::Error) -> String {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        reason = inner.to_string();
        source = inner.source();
    }
    reason
}

/// `fail!(NotFound, "no peer {id}")`: a [`Failure`] from a code and a format string.
#[macro_export]
macro_rules! fail {
    ($code:ident, $($arg:tt)+) => {
        $crate::Failure::new($crate::ErrorCode::$code, format!($($arg)+))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_both_ways_of_travelling() {
        for code in ErrorCode::ALL {
            let failure = Failure::new(*code, "what, to what, what to do");
            assert_eq!(Failure::from(tonic::Status::from(failure.clone())), failure);
            assert_eq!(Failure::from(failure.problem(None)), failure);
        }
    }
}
