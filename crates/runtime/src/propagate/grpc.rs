//! Status codes of gRPC.

use http::HeaderMap;

const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

pub(super) const CANCELLED: usize = 1;
const UNKNOWN: usize = 2;
pub(super) const UNIMPLEMENTED: usize = 12;

/// The status in headers (an answer without a body) or trailers.
pub(super) fn status(headers: &HeaderMap) -> Option<usize> {
    let text = headers.get("grpc-status")?.to_str().ok()?;
    Some(text.parse().ok().filter(|code| *code < NAMES.len()).unwrap_or(UNKNOWN))
}

pub(super) fn name(status: usize) -> &'static str {
    NAMES.get(status).copied().unwrap_or("UNKNOWN")
}

/// Is it the server's failure, by the conventions of OpenTelemetry?
pub(super) fn is_servers_fault(status: usize) -> bool {
    matches!(
        name(status),
        "UNKNOWN"
            | "DEADLINE_EXCEEDED"
            | "UNIMPLEMENTED"
            | "INTERNAL"
            | "UNAVAILABLE"
            | "DATA_LOSS"
    )
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn status_codes_are_named_and_nonsense_is_unknown() {
        let of = |text: &'static str| {
            status(&HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-status"),
                HeaderValue::from_static(text),
            )]))
        };
        assert_eq!(of("0").map(name), Some("OK"));
        assert_eq!(of("16").map(name), Some("UNAUTHENTICATED"));
        assert_eq!(of("17").map(name), Some("UNKNOWN"));
        assert_eq!(of("x").map(name), Some("UNKNOWN"));
        assert_eq!(status(&HeaderMap::new()), None);
        assert_eq!((name(CANCELLED), name(UNIMPLEMENTED)), ("CANCELLED", "UNIMPLEMENTED"));
    }
}
