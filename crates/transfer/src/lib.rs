//! The transfer engine: how bytes get from one peer to another, each piece verified.
//!
//! It dials peers and verifies who they are, fetches file versions to a path, sends files to a
//! peer, and has the safe files, limits, buffers and counters that both ends of a transfer share.
//! It knows no library, no daemon and no catalogue database: the peer uses it, and so do commands
//! where no peer runs.

pub mod blocking;
pub mod dial;
pub mod disk;
pub mod echo;
pub mod fetch;
pub mod hashing;
pub mod holder;
pub mod limits;
pub mod lists;
pub mod metrics;
pub mod nearness;
pub mod pool;
pub mod progress;
pub mod registry;
pub mod send;
mod stamp;
pub mod trust;
pub mod wirebody;

pub use blocking::blocking;
pub use holder::Holder;
pub use nearness::{Here, Nearness};
pub use registry::Registry;
pub use stamp::Stamp;
