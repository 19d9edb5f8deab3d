//! The peer: a node that stores files, serves them to others and fetches them.

pub mod args;
pub mod backoff;
pub mod control;
pub mod data;
pub mod db;
pub mod dial;
pub mod echo;
pub mod fetch;
pub mod grpc;
pub mod hashing;
pub mod holdings;
pub mod identity;
pub mod index;
pub mod jobs;
pub mod library;
pub mod limits;
pub mod link;
pub mod lists;
pub mod membership;
pub mod metrics;
pub mod pool;
pub mod publish;
pub mod rights;
pub mod send;
pub mod server;
pub mod trust;
mod volume;
pub mod wirebody;

pub use args::{Config, PeerArgs};
pub use server::Peer;
