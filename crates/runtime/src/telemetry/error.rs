//! Why telemetry cannot be set up.

/// Telemetry that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter cannot be read.
    #[error("--log {filter:?} is not a valid filter: {reason}")]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong.
        reason: String,
    },
    /// The endpoint cannot be used at all. A collector that is down is not an error.
    #[error("--otlp-endpoint {endpoint:?} cannot be used: {reason}")]
    Endpoint {
        /// As given.
        endpoint: String,
        /// What is wrong.
        reason: String,
    },
    /// Called twice in a process, or the system refuses a thread.
    #[error("telemetry cannot be set up: {0}")]
    Setup(String),
}
