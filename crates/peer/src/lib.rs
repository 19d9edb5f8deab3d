//! The peer: a node that stores files, serves them to others and fetches them.

pub mod args;
mod config;
mod control;
mod data;
mod db;
mod grpc;
pub mod holdings;
mod identity;
mod index;
mod jobs;
mod library;
mod link;
mod membership;
mod metrics;
mod publish;
mod rights;
mod secret;
mod server;
mod volume;

pub use args::PeerArgs;
pub use config::{Config, ConfiguredShare};
pub use data::{DataDir, SOCKET};
pub use db::{
    Db,
    pending::{Indexed, PendingRow},
};
pub use grpc::PeerService;
pub use index::Indexer;
pub use jobs::{Jobs, JobsDeps};
pub use library::{FinishedDownload, Held, Library, Spool, Withdraw};
pub use link::{IdentityLoss, Link, RegisteredPeer};
pub use rights::{Permit, Rights, UPLOAD_LIFE_MS, absent};
pub use secret::{JoinToken, PodToken};
pub use server::Peer;
