//! What the tests of several crates stand on. Nothing of the product may depend on it.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

pub mod files;
#[cfg(feature = "identity")]
pub mod identity;
pub mod metrics;
pub mod net;
mod process;
pub mod sample;
#[cfg(feature = "identity")]
pub mod session;
mod wait;

pub use process::{Process, Said, progress};
pub use wait::{Look, PATIENCE, Patience, eventually, until};
