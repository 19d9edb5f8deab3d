//! Telemetry of whole processes, and of requests.
//!
//! Telemetry is set up once a process, so processes are what is tested: this program starts itself
//! again as the test `child`.

#![expect(clippy::unwrap_used, reason = "tests")]

mod child;
mod collector;
mod processes;
mod spans;
