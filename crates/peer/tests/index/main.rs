//! The indexer on real folders: what it takes in, what it leaves alone, what it notices.
#![expect(clippy::unwrap_used, reason = "tests")]

mod held;
mod shares;
mod world;
