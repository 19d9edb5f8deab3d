//! The peer: a node that stores files, serves them to others and fetches them.

pub mod args;
pub mod control;
pub mod data;
pub mod db;
pub mod grpc;
pub mod holdings;
pub mod identity;
pub mod index;
pub mod jobs;
pub mod library;
pub mod link;
pub mod membership;
pub mod metrics;
pub mod publish;
pub mod rights;
pub mod server;
mod volume;

pub use args::{Config, PeerArgs};
pub use server::Peer;
