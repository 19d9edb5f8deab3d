//! What every Peral process stands on: the clock, shutdown, TLS, listeners, probes, telemetry.
//!
//! Knows nothing of central or of peers: it depends on `peral-model` alone.

pub mod admin;
pub mod backoff;
pub mod clock;
pub mod limits;
pub mod lock;
pub mod ports;
pub mod propagate;
pub mod serve;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod work;

pub use backoff::{Backoff, Jitter};
pub use clock::{Clock, MockClock, SharedClock, SystemClock};
pub use lock::Lock;
pub use ports::Ports;
pub use shutdown::Shutdown;
pub use telemetry::{Telemetry, TelemetryArgs, TelemetryGuard};
